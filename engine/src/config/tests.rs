use std::io::Write as _;

use super::*;
use crate::policy::OverflowPolicy;

/// Arguments without the program's name, environment, and the text of a file.
#[derive(Clone, Copy, Default)]
struct Sources<'a> {
    flags: &'a [&'a str],
    environment: &'a [(&'a str, &'a str)],
    file: Option<&'a str>,
}

fn load(sources: Sources<'_>) -> Result<Config, ConfigError> {
    let mut arguments: Vec<OsString> = vec!["tickwire".into()];
    arguments.extend(sources.flags.iter().map(Into::into));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    if let Some(text) = sources.file {
        file.write_all(text.as_bytes()).unwrap();
        arguments.push("--config".into());
        arguments.push(file.path().into());
    }
    let environment = sources
        .environment
        .iter()
        .map(|(name, text)| (name.into(), text.into()));
    Config::from_sources(arguments, environment)
}

fn flags(flags: &[&str]) -> Result<Config, ConfigError> {
    load(Sources {
        flags,
        ..Sources::default()
    })
}

fn environment(environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load(Sources {
        environment,
        ..Sources::default()
    })
}

fn file(text: &str) -> Result<Config, ConfigError> {
    load(Sources {
        file: Some(text),
        ..Sources::default()
    })
}

#[test]
fn without_any_source_the_built_in_feed_runs_on_the_documented_addresses() {
    let config = flags(&[]).unwrap();
    assert_eq!(
        config,
        Config {
            listen: "0.0.0.0:8081".parse().unwrap(),
            admin_listen: "127.0.0.1:8082".parse().unwrap(),
            redis: None,
            simulate: Some(SimulateConfig {
                symbols: 50,
                rate_per_second: 50.0,
                seed: 7
            }),
            cores: Cores::Auto,
            driver: DriverChoice::Auto,
            limits: Limits {
                connections_max: 10_000,
                topics_max: 10_000,
                queue: QueueLimits::default(),
            },
            policies: Policies::default(),
            open_namespaces: vec![],
            enable_echo: false,
            allowed_origins: AllowedOrigins::default(),
            ready_requires_source: false,
            coalesce_max: Duration::from_millis(2),
            duplicate_window: Duration::from_millis(100),
            drain_grace: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(10),
            low_latency: false,
            log_format: LogFormat::Text,
            log: "info".to_owned(),
            warnings: vec![],
        }
    );
}

/// Setting, two values, and how the configuration shows them.
type Precedence = (&'static str, [&'static str; 3], fn(&Config) -> String);

const PRECEDENCE: [Precedence; key::ALL.len()] = [
    (
        "listen",
        ["1.1.1.1:1", "2.2.2.2:2", "3.3.3.3:3"],
        |config| config.listen.to_string(),
    ),
    (
        "admin-listen",
        ["1.1.1.1:1", "[::2]:2", "3.3.3.3:3"],
        |config| config.admin_listen.to_string(),
    ),
    (
        "redis-url",
        ["redis://a:1", "redis://b:2", "redis://c:3"],
        |config| config.redis.as_ref().unwrap().url.to_string(),
    ),
    ("redis-channel-updates", ["a", "b", "c"], |config| {
        config
            .redis
            .as_ref()
            .map_or("none", |redis| &redis.channel_updates)
            .to_owned()
    }),
    ("redis-key-prefix", ["{a}", "{b}", "{c}"], |config| {
        config.redis.as_ref().unwrap().key_prefix.clone()
    }),
    ("per-symbol-channels", ["true", "false", "true"], |config| {
        let redis = config.redis.as_ref().unwrap();
        redis.per_symbol_channels.to_string()
    }),
    ("redis-cluster", ["true", "false", "true"], |config| {
        config.redis.as_ref().unwrap().cluster.to_string()
    }),
    (
        "redis-sentinels",
        ["a:1,b", "c:2", "[::1],[::2]:3"],
        |config| {
            let addresses = &config
                .redis
                .as_ref()
                .unwrap()
                .sentinels
                .as_ref()
                .unwrap()
                .addresses;
            let shown = addresses
                .iter()
                .map(|(host, port)| match (host.contains(':'), port) {
                    (true, 26_379) => format!("[{host}]"),
                    (true, port) => format!("[{host}]:{port}"),
                    (false, 26_379) => host.clone(),
                    (false, port) => format!("{host}:{port}"),
                });
            shown.collect::<Vec<_>>().join(",")
        },
    ),
    ("redis-master", ["a", "b.c", "d-e_1"], |config| {
        let sentinels = config.redis.as_ref().unwrap().sentinels.as_ref();
        sentinels.unwrap().master.clone()
    }),
    (
        "simulate",
        ["symbols=1", "symbols=2", "symbols=3"],
        |config| format!("symbols={}", config.simulate.unwrap().symbols),
    ),
    ("cores", ["1", "2", "3"], |config| match &config.cores {
        Cores::List(cores) => cores[0].to_string(),
        Cores::Auto => "auto".to_owned(),
    }),
    ("driver", ["uring", "auto", "uring"], |config| {
        match config.driver {
            DriverChoice::Auto => "auto",
            DriverChoice::Uring => "uring",
            #[cfg(feature = "glommio")]
            DriverChoice::Glommio => "glommio",
        }
        .to_owned()
    }),
    ("connections-max", ["1", "2", "3"], |config| {
        config.limits.connections_max.to_string()
    }),
    ("symbols-max", ["71", "72", "73"], |config| {
        config.limits.topics_max.to_string()
    }),
    ("coalesce-max", ["1ms", "2ms", "3ms"], |config| {
        format!("{:?}", config.coalesce_max)
    }),
    ("duplicate-window", ["1ms", "2ms", "3ms"], |config| {
        format!("{:?}", config.duplicate_window)
    }),
    ("low-latency", ["true", "false", "true"], |config| {
        config.low_latency.to_string()
    }),
    ("log", ["warn", "error", "debug"], |config| {
        config.log.clone()
    }),
    (
        "log-format",
        ["json", "text", "json"],
        |config| match config.log_format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        },
    ),
    ("drain-grace", ["1ms", "2s", "3s"], |config| {
        format!("{:?}", config.drain_grace)
    }),
    ("drain-timeout", ["20s", "30s", "40s"], |config| {
        format!("{:?}", config.drain_timeout)
    }),
    ("queue-frames", ["1", "2", "3"], |config| {
        config.limits.queue.frames_max.to_string()
    }),
    ("queue-bytes", ["1024", "2048", "3072"], |config| {
        config.limits.queue.bytes_max.to_string()
    }),
    ("max-age", ["1s", "2s", "3s"], |config| {
        format!("{}s", config.limits.queue.age_max_ns / 1_000_000_000)
    }),
    ("stall-timeout", ["1s", "2s", "3s"], |config| {
        format!("{}s", config.limits.queue.stall_timeout_ns / 1_000_000_000)
    }),
    (
        "policy",
        ["a=conflate", "a=drop-oldest", "a=disconnect"],
        |config| match config.policies.of("a") {
            OverflowPolicy::Conflate => "a=conflate".to_owned(),
            OverflowPolicy::DropOldest => "a=drop-oldest".to_owned(),
            OverflowPolicy::Disconnect => "a=disconnect".to_owned(),
        },
    ),
    (
        "open-namespaces",
        ["user,session", "user", "session"],
        |config| config.open_namespaces.join(","),
    ),
    ("enable-echo", ["true", "false", "true"], |config| {
        config.enable_echo.to_string()
    }),
    (
        "allowed-origins",
        ["http://a", "http://b", "http://c"],
        |config| {
            let allowed = |origin: &&str| config.allowed_origins.allow(Some(origin));
            ["http://a", "http://b", "http://c"]
                .into_iter()
                .filter(allowed)
                .collect()
        },
    ),
    (
        "ready-requires-source",
        ["true", "false", "true"],
        |config| config.ready_requires_source.to_string(),
    ),
];

#[test]
fn flag_beats_environment_beats_file_for_every_setting() {
    assert_eq!(PRECEDENCE.map(|(key, ..)| key), key::ALL);
    for (key, [strong, middle, weak], show) in PRECEDENCE {
        let flag = format!("--{key}={strong}");
        let variable = (environment::name_of(key), middle);
        let line = format!("{key} = \"{weak}\"\n");
        // Without a server what is about it does not show, and a cluster needs a prefix.
        let server = ("TICKWIRE_REDIS_URL", "redis://server");
        let prefix = ("TICKWIRE_REDIS_KEY_PREFIX", "{md}:");
        let needed = match key {
            "redis-cluster" => vec![server, prefix],
            "redis-sentinels" => vec![("TICKWIRE_REDIS_MASTER", "m")],
            "redis-master" => vec![("TICKWIRE_REDIS_SENTINELS", "a")],
            "redis-channel-updates" | "redis-key-prefix" | "per-symbol-channels" => vec![server],
            _ => vec![],
        };
        for (with_flag, with_variable, with_file) in [
            (true, true, true),
            (true, true, false),
            (true, false, true),
            (true, false, false),
            (false, true, true),
            (false, true, false),
            (false, false, true),
        ] {
            let flags = if with_flag {
                vec![flag.as_str()]
            } else {
                vec![]
            };
            let mut environment = needed.clone();
            if with_variable {
                environment.push((&variable.0, variable.1));
            }
            let file = with_file.then_some(line.as_str());
            let expected = match (with_flag, with_variable) {
                (true, _) => strong,
                (false, true) => middle,
                (false, false) => weak,
            };
            let config = load(Sources {
                flags: &flags,
                environment: &environment,
                file,
            })
            .unwrap();
            assert_eq!(
                show(&config),
                expected,
                "{key}: {with_flag} {with_variable} {with_file}"
            );
        }
    }
}

#[test]
fn plain_variables_stand_between_our_own_and_the_file() {
    let text =
        "listen = \"9.9.9.9:9\"\nredis-url = \"redis://file\"\nredis-channel-updates = \"file\"\n";
    let plain = [
        ("WS_PORT", "8000"),
        ("REDIS_HOST", "plain"),
        ("REDIS_PORT", "7000"),
        ("REDIS_CHANNEL_UPDATES", "plain"),
    ];
    let own = [
        ("TICKWIRE_LISTEN", "1.1.1.1:1"),
        ("TICKWIRE_REDIS_URL", "redis://own"),
        ("TICKWIRE_REDIS_CHANNEL_UPDATES", "own"),
    ];
    let show = |environment: &[(&str, &str)]| {
        let config = load(Sources {
            environment,
            file: Some(text),
            flags: &[],
        })
        .unwrap();
        let redis = config.redis.unwrap();
        format!("{} {} {}", config.listen, redis.url, redis.channel_updates)
    };
    assert_eq!(show(&[]), "9.9.9.9:9 redis://file:6379 file");
    assert_eq!(show(&plain), "9.9.9.9:8000 redis://plain:7000 plain");
    assert_eq!(
        show(&[&own[..], &plain[..]].concat()),
        "1.1.1.1:1 redis://own:6379 own"
    );

    let url =
        |environment: &[(&str, &str)]| self::environment(environment).unwrap().redis.unwrap().url;
    assert_eq!(
        url(&[("REDIS_HOST", "a.b")]).to_string(),
        "redis://a.b:6379"
    );
    assert_eq!(
        url(&[("REDIS_HOST", "::1")]).to_string(),
        "redis://[::1]:6379"
    );
    assert_eq!(
        url(&[("REDIS_PORT", "7000")]).to_string(),
        "redis://127.0.0.1:7000"
    );
    assert_eq!(
        environment(&[("WS_PORT", "8000")])
            .unwrap()
            .listen
            .to_string(),
        "0.0.0.0:8000"
    );
    assert!(
        environment(&[("REDIS_CHANNEL_UPDATES", "a")])
            .unwrap()
            .redis
            .is_none()
    );
}

#[test]
fn redis_turns_the_built_in_feed_off_unless_it_is_asked_for() {
    let cases: [(&[&str], bool, Option<u32>); 6] = [
        (&[], false, Some(50)),
        (&["--redis-url=redis://a"], true, None),
        (&["--redis-url=redis://a", "--simulate"], true, Some(50)),
        (
            &["--redis-url=redis://a", "--simulate", "symbols=3"],
            true,
            Some(3),
        ),
        (&["--simulate=false"], false, None),
        (&["--simulate=off", "--redis-url=redis://a"], true, None),
    ];
    for (flags, redis, symbols) in cases {
        let config = self::flags(flags).unwrap();
        let found = (
            config.redis.is_some(),
            config.simulate.map(|simulate| simulate.symbols),
        );
        assert_eq!(found, (redis, symbols), "{flags:?}");
    }
    let tuned = flags(&["--simulate=symbols=500,rate=20000.5,seed=1"])
        .unwrap()
        .simulate;
    assert_eq!(
        tuned,
        Some(SimulateConfig {
            symbols: 500,
            rate_per_second: 20_000.5,
            seed: 1
        })
    );
    let few = flags(&["--symbols-max=10"]).unwrap().simulate.unwrap();
    assert_eq!((few.symbols, few.rate_per_second), (10, 10.0));
}

#[test]
fn values_have_every_form_that_the_help_names() {
    let file = file(
        "cores = [0, \"2-3\"]\nconnections-max = 20_000\nlow-latency = true\ncoalesce-max = 0\n\
         simulate = true\nlog = \"info,tickwire_engine::ingest=debug\"\n",
    )
    .unwrap();
    assert_eq!(file.cores, Cores::List(vec![0, 2, 3]));
    assert_eq!(file.limits.connections_max, 20_000);
    assert!(file.low_latency);
    assert_eq!(file.coalesce_max, Duration::ZERO);
    assert!(file.simulate.is_some());
    assert!(flags(&["--low-latency"]).unwrap().low_latency);
    assert_eq!(
        flags(&["--cores=3,0-1"]).unwrap().cores,
        Cores::List(vec![0, 1, 3])
    );
    for (text, micros) in [
        ("500us", 500),
        ("2ms", 2_000),
        ("1.5ms", 1_500),
        ("0", 0),
        ("0.5 s", 500_000),
        ("1s", 1_000_000),
    ] {
        let config = flags(&["--coalesce-max", text]).unwrap();
        assert_eq!(config.coalesce_max, Duration::from_micros(micros), "{text}");
    }
    assert_eq!(
        flags(&["--duplicate-window=1m"]).unwrap().duplicate_window,
        Duration::from_secs(60)
    );
}

/// What is refused, and a part of the message that says where and how to do it right.
#[test]
fn every_refusal_names_its_place_and_its_remedy() {
    let by_flag = [
        ("listen", "localhost:8081", "such as 127.0.0.1:8082"),
        ("listen", ":70000", "such as 127.0.0.1:8082"),
        ("admin-listen", "8082", "such as 127.0.0.1:8082"),
        ("admin-listen", ":8082", "such as 127.0.0.1:8082"),
        ("redis-url", "", "give redis://"),
        ("redis-url", "http://a", "give redis://"),
        ("redis-url", "redis://a:port", "give redis://"),
        ("redis-url", "rediss://a", "use redis://"),
        (
            "redis-channel-updates",
            "a b",
            "such as market-data:updates",
        ),
        ("redis-key-prefix", "a b", "such as {md}:"),
        ("per-symbol-channels", "maybe", "give true or false"),
        ("per-symbol-channels", "true", "give --redis-url too"),
        ("redis-cluster", "true", "give --redis-url too"),
        ("redis-sentinels", "", "such as a:26379,b:26379"),
        ("redis-sentinels", "a:1,b:port", "such as a:26379,b:26379"),
        ("redis-sentinels", "redis://a", "such as a:26379,b:26379"),
        ("redis-sentinels", "a:1", "give --redis-master too"),
        ("redis-master", "a b", "such as mymaster"),
        ("redis-master", "mymaster", "give --redis-sentinels too"),
        ("simulate", "symbols=0", "give symbols=50,rate=50,seed=7"),
        ("simulate", "symbols", "give symbols=50,rate=50,seed=7"),
        ("simulate", "rate=0", "no rate above 0"),
        ("simulate", "rate=nan", "no rate above 0"),
        ("simulate", "rate=inf", "no rate above 0"),
        ("simulate", "seed=-1", "give symbols=50,rate=50,seed=7"),
        ("simulate", "speed=1", "give symbols=50,rate=50,seed=7"),
        ("simulate", "symbols=20000", "raise --symbols-max"),
        ("cores", "", "such as 0,2-3"),
        ("cores", "3-2", "such as 0,2-3"),
        ("cores", "1,1", "core 1 stands twice"),
        ("cores", "0,2-3,3", "core 3 stands twice"),
        ("cores", "0-99999999", "up to 1023"),
        ("cores", "all", "give auto"),
        ("driver", "epoll", "give auto, uring"),
        ("connections-max", "0", "from 1 to 10000000"),
        ("connections-max", "-1", "from 1 to 10000000"),
        ("connections-max", "1e4", "from 1 to 10000000"),
        ("symbols-max", "99999999999", "from 1 to 10000000"),
        ("coalesce-max", "2", "has no unit"),
        ("coalesce-max", "2h", "such as 2ms"),
        ("coalesce-max", "ms", "such as 2ms"),
        ("coalesce-max", "-1ms", "such as 2ms"),
        ("coalesce-max", "2s", "from 0 to 1s"),
        ("duplicate-window", "61s", "from 0 to 60s"),
        ("duplicate-window", "1..5s", "such as 2ms"),
        ("low-latency", "maybe", "give true or false"),
        ("log", "inof", "give off, error, warn, info, debug or trace"),
        (
            "log",
            "info,a=b=c",
            "give off, error, warn, info, debug or trace",
        ),
        ("log-format", "xml", "give text or json"),
    ];
    for (key, text, remedy) in by_flag {
        let name = environment::name_of(key);
        let line = format!("\n\n{key} = \"{text}\"\n");
        let mut refusals = vec![
            (flags(&[&format!("--{key}={text}")]), format!("--{key}: ")),
            (file(&line), format!(":3: {key}: ")),
        ];
        // An empty variable says nothing.
        if !text.is_empty() {
            refusals.push((environment(&[(&name, text)]), format!("{name}: ")));
        }
        for (refused, place) in refusals {
            let message = refused.expect_err(text).to_string();
            assert!(
                message.contains(&place) && message.contains(remedy),
                "{place}{text}: {message}"
            );
        }
    }

    let by_variable = [
        ("WS_PORT", "eight", "WS_PORT: ", "from 0 to 65535"),
        ("REDIS_PORT", "99999", "REDIS_PORT: ", "from 0 to 65535"),
        (
            "REDIS_HOST",
            "user@host",
            "REDIS_HOST: ",
            "TICKWIRE_REDIS_URL",
        ),
        (
            "REDIS_HOST",
            "redis://host",
            "REDIS_HOST: ",
            "TICKWIRE_REDIS_URL",
        ),
        (
            "REDIS_CHANNEL_UPDATES",
            "a b",
            "REDIS_CHANNEL_UPDATES: ",
            "such as market-data:updates",
        ),
    ];
    for (name, text, place, remedy) in by_variable {
        let message = environment(&[(name, text)]).expect_err(text).to_string();
        assert!(
            message.contains(place) && message.contains(remedy),
            "{name}={text}: {message}"
        );
    }

    let by_file = [
        (
            "# a\nlisten = \"1.1.1.1:1\"\ncoalesce-maximum = 1\n",
            ":3: unknown key `coalesce-maximum`",
            "did you mean `coalesce-max`?",
        ),
        (
            "coalesce_max = 1\n",
            ":1: unknown key `coalesce_max`",
            "did you mean `coalesce-max`?",
        ),
        (
            "config = \"b.toml\"\n",
            ":1: unknown key `config`",
            "--help",
        ),
        (
            "[simulate]\nsymbols = 5\n",
            ":1: simulate: ",
            "write simulate = ",
        ),
        ("listen = 1.1.1.1:1\n", ":1: ", "correct it"),
        (
            "listen = \"1.1.1.1:1\"\nlisten = \"1.1.1.1:1\"\n",
            ":2: ",
            "correct it",
        ),
        ("coalesce-max = 2\n", ":1: coalesce-max: ", "has no unit"),
    ];
    for (text, place, remedy) in by_file {
        let message = file(text).expect_err(text).to_string();
        assert!(
            message.contains(place) && message.contains(remedy),
            "{text}: {message}"
        );
    }

    let message = flags(&["--config=/does/not/exist.toml"])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("/does/not/exist.toml: ") && message.contains("TICKWIRE_CONFIG"),
        "{message}"
    );
    let message = flags(&["--coalesce-mx=1ms"]).unwrap_err().to_string();
    assert!(message.contains("'--coalesce-max'"), "{message}");
    assert!(flags(&["stray"]).is_err());
}

#[test]
fn a_cluster_needs_a_hash_tag_addresses_and_the_only_database() {
    let refusal = |url: &str, prefix: &str| {
        let url = format!("--redis-url={url}");
        let prefix = format!("--redis-key-prefix={prefix}");
        flags(&["--redis-cluster", &url, &prefix]).map_err(|error| error.to_string())
    };
    for prefix in ["{md}:", "a{b}", "{{}"] {
        let redis = refusal("redis://a", prefix).unwrap().redis.unwrap();
        assert!(redis.cluster && redis.key_prefix == prefix, "{prefix}");
    }
    for (url, prefix, remedy) in [
        ("redis://a", "", "give --redis-key-prefix a hash tag"),
        ("redis://a", "md:", "such as {md}:"),
        ("redis://a", "{}:", "such as {md}:"),
        ("redis://a", "}md{", "such as {md}:"),
        ("redis://a/2", "{md}:", "leave /2 out"),
        ("redis+unix:///a", "{md}:", "give redis://host:port"),
    ] {
        let message = refusal(url, prefix).unwrap_err();
        assert!(
            message.starts_with("--redis-cluster: ") && message.contains(remedy),
            "{url} {prefix}: {message}"
        );
    }
    // A choice that is off needs nothing.
    assert!(flags(&["--redis-cluster=false", "--per-symbol-channels=false"]).is_ok());
}

#[test]
fn sentinels_turn_redis_on_and_a_url_says_how_to_log_in() {
    let sentinels = ["--redis-sentinels=a,[::1]:5", "--redis-master=m"];
    let redis = flags(&sentinels).unwrap().redis.unwrap();
    let shown = redis.sentinels.unwrap().to_string();
    assert_eq!(shown, "master m of sentinels a:26379,[::1]:5");
    assert_eq!(
        redis.url.connection_info().redis_settings().password(),
        None
    );
    let with_url = [&sentinels[..], &["--redis-url=redis://:s3cr3t@unused/2"]].concat();
    let url = flags(&with_url).unwrap().redis.unwrap().url;
    let settings = url.connection_info().redis_settings();
    assert_eq!((settings.password(), settings.db()), (Some("s3cr3t"), 2));
    let with_cluster = [
        &sentinels[..],
        &["--redis-cluster", "--redis-key-prefix={md}:"],
    ]
    .concat();
    let message = flags(&with_cluster).unwrap_err().to_string();
    assert!(
        message.starts_with("--redis-cluster: ") && message.contains("leave --redis-sentinels and"),
        "{message}"
    );
}

#[test]
fn an_overruled_value_is_checked_all_the_same() {
    let overruled = Sources {
        flags: &["--cores=0"],
        environment: &[("TICKWIRE_CORES", "x")],
        ..Sources::default()
    };
    assert!(
        load(overruled)
            .unwrap_err()
            .to_string()
            .starts_with("TICKWIRE_CORES: ")
    );
}

#[test]
fn what_an_orchestrator_adds_to_the_environment_only_warns() {
    let config = environment(&[
        ("TICKWIRE_PORT", "tcp://10.0.0.1:8081"),
        ("TICKWIRE_COALESCE_MX", "1ms"),
        ("REDIS_PORT", "tcp://10.0.0.2:6379"),
        ("TICKWIRE_LISTEN", ""),
        ("PATH", "/bin"),
    ])
    .unwrap();
    assert!(config.redis.is_none());
    assert_eq!(config.listen.port(), 8081);
    let warnings = config.warnings.join("\n");
    assert_eq!(config.warnings.len(), 3, "{warnings}");
    assert!(warnings.contains("TICKWIRE_PORT") && warnings.contains("REDIS_PORT"));
    assert!(
        warnings.contains("the closest is TICKWIRE_COALESCE_MAX"),
        "{warnings}"
    );
}

#[test]
fn credentials_are_never_printed() {
    let secret = "redis://someone:s3cr3t@host:1/2";
    let config = flags(&["--redis-url", secret]).unwrap();
    let url = &config.redis.as_ref().unwrap().url;
    assert_eq!(
        url.connection_info().redis_settings().password(),
        Some("s3cr3t")
    );
    assert_eq!(url.to_string(), "redis://host:1/2");
    let mut printed = vec![format!("{config:?}"), format!("{url:?}")];
    printed.push(
        file("redis-url = \"redis://someone:s3cr3t@host\n")
            .unwrap_err()
            .to_string(),
    );
    for bad in [
        "redis://someone:s3cr3t@host:port",
        "rediss://someone:s3cr3t@host",
        "redis://someone:s3cr3t@host/x",
        "redis://someone:s3cr3t@host?protocol=s3cr3t",
        "s3cr3t",
    ] {
        printed.push(format!(
            "{:?}",
            flags(&["--redis-url", bad]).expect_err(bad)
        ));
        printed.push(flags(&["--redis-url", bad]).expect_err(bad).to_string());
    }
    assert!(
        printed
            .iter()
            .all(|text| !text.contains("s3cr3t") && !text.contains("someone")),
        "{printed:?}"
    );
}

#[test]
fn the_help_has_every_setting_and_its_default() {
    let error = flags(&["--help"]).unwrap_err();
    assert!(error.is_requested_output());
    let help = error.to_string();
    for key in key::ALL {
        assert!(
            help.contains(&format!("--{key} ")) || help.contains(&format!("--{key}[")),
            "{key}\n{help}"
        );
    }
    assert_eq!(
        help.matches("[default: ").count(),
        key::ALL.len() + 1,
        "one for --config too"
    );
    assert!(flags(&["--version"]).unwrap_err().is_requested_output());
    assert!(
        !flags(&["--no-such-flag"])
            .unwrap_err()
            .is_requested_output()
    );
}

#[test]
fn a_drain_that_ends_with_its_grace_is_refused_and_a_hasty_one_is_warned_of() {
    let refused = flags(&["--drain-grace=6s", "--drain-timeout=2s"]).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("--drain-grace (6s)") && text.contains("9s"),
        "{text}"
    );
    let hasty = flags(&["--drain-timeout=2s"]).unwrap();
    assert_eq!(hasty.drain_timeout, Duration::from_secs(2));
    assert_eq!(hasty.warnings.len(), 1, "{:?}", hasty.warnings);
    let long_grace = flags(&["--drain-grace=20s"]).unwrap();
    assert!(long_grace.drain_timeout > Duration::from_secs(20));
}

#[test]
fn only_private_namespaces_can_be_opened() {
    let text = flags(&["--open-namespaces=users"]).unwrap_err().to_string();
    assert!(text.contains("user,session"), "{text}");
}

#[test]
fn an_origin_has_no_path() {
    let text = flags(&["--allowed-origins=http://a,https://b/"])
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("`https://b/`") && text.contains("https://a.example"),
        "{text}"
    );
}
