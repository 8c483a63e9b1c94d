//! `POST /publish`: into the pipeline, or to Redis so that every node gets it.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use serde::Serialize;
use tickwire_protocol::limits::PUBLICATION_BYTES_MAX;
use tickwire_protocol::publication::{PublicationDecoder, RejectReason};
use tokio::time::timeout;

use crate::ingest::redis::{PublishError, RedisPublisher};
use crate::ingest::{Pipeline, Published, Source};

/// For a whole body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where publications go.
pub(super) struct Publishing {
    pipeline: Rc<RefCell<Pipeline>>,
    redis: Option<RedisPublisher>,
    /// Checks what goes to Redis, and so not through the pipeline's decoder.
    decoder: RefCell<PublicationDecoder>,
}

/// The answer of the contract.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct PublishAnswer {
    pub(super) accepted: usize,
    rejected: Vec<Rejected>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Rejected {
    index: usize,
    reason: &'static str,
}

/// Why nothing was published, other than by what it says.
#[derive(Debug)]
pub(super) enum Refused {
    /// It did not arrive within [`BODY_TIMEOUT`].
    Timeout,
    /// It did not arrive whole.
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// Redis did not take it; the publisher tries again.
    Redis(PublishError),
    /// The control channel has paused ingest; the publisher tries again later.
    Paused,
}

impl Publishing {
    pub(super) fn new(pipeline: Rc<RefCell<Pipeline>>, redis: Option<RedisPublisher>) -> Self {
        Self {
            pipeline,
            redis,
            decoder: RefCell::new(PublicationDecoder::new()),
        }
    }

    pub(super) async fn publish(&self, body: Incoming) -> Result<PublishAnswer, Refused> {
        let Some(payload) = read(body).await? else {
            let reason = RejectReason::TooLarge;
            self.pipeline.borrow_mut().note_rejected(reason);
            let rejected = vec![(0, reason)];
            return Ok(Published {
                accepted: 0,
                rejected,
            }
            .into());
        };
        let published = match &self.redis {
            None if self.pipeline.borrow().is_paused() => return Err(Refused::Paused),
            None => self.publish_here(&payload),
            Some(redis) => self.publish_to_redis(redis, &payload).await?,
        };
        Ok(published.into())
    }

    fn publish_here(&self, payload: &[u8]) -> Published {
        let mut pipeline = self.pipeline.borrow_mut();
        let published = pipeline.publish(Source::Http, payload, None);
        pipeline.flush();
        published
    }

    /// The payload goes as it is: each node rejects the same elements again, and counts them.
    async fn publish_to_redis(
        &self,
        redis: &RedisPublisher,
        payload: &[u8],
    ) -> Result<Published, Refused> {
        let published = self.check(payload);
        if published.accepted > 0 {
            redis.publish(payload).await.map_err(Refused::Redis)?;
        }
        Ok(published)
    }

    fn check(&self, payload: &[u8]) -> Published {
        let mut published = Published::default();
        let mut decoder = self.decoder.borrow_mut();
        let decoded = decoder.decode(payload, None, &mut |index, element| match element {
            Ok(_) => published.accepted += 1,
            Err(reason) => published.rejected.push((index, reason)),
        });
        if let Err(reason) = decoded {
            published.rejected.push((0, reason));
        }
        published
    }
}

/// `None`: the body exceeds [`PUBLICATION_BYTES_MAX`].
async fn read(body: Incoming) -> Result<Option<Bytes>, Refused> {
    if body.size_hint().lower() > PUBLICATION_BYTES_MAX as u64 {
        return Ok(None);
    }
    match timeout(
        BODY_TIMEOUT,
        Limited::new(body, PUBLICATION_BYTES_MAX).collect(),
    )
    .await
    {
        Ok(Ok(body)) => Ok(Some(body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(None),
        Ok(Err(error)) => Err(Refused::Body(error)),
        Err(_) => Err(Refused::Timeout),
    }
}

impl From<Published> for PublishAnswer {
    fn from(published: Published) -> Self {
        let rejected = published.rejected.into_iter();
        Self {
            accepted: published.accepted,
            rejected: rejected
                .map(|(index, reason)| Rejected {
                    index,
                    reason: reason.as_str(),
                })
                .collect(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("ingest is paused; try again when it was resumed"),
            Self::Timeout => write!(f, "the body did not arrive within {BODY_TIMEOUT:?}"),
            Self::Body(error) => write!(f, "the body did not arrive: {error}"),
            Self::Redis(error) => write!(f, "not published: {error}; try again"),
        }
    }
}
