//! One connection: what it sends, and how many frames came back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

use crate::conversation::{conversation, subscription, upgrade};
use crate::{Arguments, Begun, Until, clock};

/// What all clients say, made once.
pub(crate) struct Conversation {
    upgrade: Vec<u8>,
    greeting_frames: usize,
    /// The first subscription and how many frames answer it; `None` when there is none.
    subscription: Option<(Vec<u8>, usize)>,
    /// Sent in turn.
    commands: [Vec<u8>; 3],
}

impl Conversation {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let subscription = subscription(arguments.symbols);
        Self {
            upgrade: upgrade(&arguments.address.to_string()),
            greeting_frames: arguments.greeting_frames,
            subscription: (arguments.until == Until::Subscribed)
                .then_some((subscription, arguments.subscribed_frames)),
            commands: conversation(arguments.symbols),
        }
    }
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    stage: Stage,
    begun: Begun,
    /// Bytes that have come and belong to a head or a frame that is not complete.
    received: Vec<u8>,
    /// Frames that are still to come in this stage.
    awaited_frames: usize,
    commands_left: usize,
    commands_sent: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Upgrading,
    Greeted,
    Subscribing,
    Open,
}

/// What came of looking after a connection on its way.
pub(crate) enum Progress {
    Waits,
    Opened,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error);
            }
            _ => {}
        }
        Ok(Self {
            stream: socket.into(),
            stage: Stage::Connecting,
            begun: clock::now(),
            received: Vec::new(),
            awaited_frames: 0,
            commands_left: 0,
            commands_sent: 0,
        })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// When what is under way began.
    pub(crate) fn begun(&self) -> Begun {
        self.begun
    }

    /// Goes on with opening, as far as it goes. `has_ended`: the server's side, by the event that is handled.
    pub(crate) fn open(
        &mut self,
        conversation: &Conversation,
        has_ended: bool,
    ) -> io::Result<Progress> {
        if self.stage == Stage::Open {
            return Ok(Progress::Waits);
        }
        if self.stage == Stage::Connecting {
            match self.stream.write(&conversation.upgrade) {
                Ok(_) => self.stage = Stage::Upgrading,
                Err(error) if is_early(&error) => return Ok(Progress::Waits),
                Err(error) => return Err(error),
            }
        }
        self.receive(has_ended)?;
        if self.stage == Stage::Upgrading {
            let Some(end) = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
            else {
                return Ok(Progress::Waits);
            };
            if !self.received.starts_with(b"HTTP/1.1 101") {
                let answer = String::from_utf8_lossy(&self.received[..end]).into_owned();
                return Err(io::Error::other(answer));
            }
            self.received.drain(..end + 4);
            self.stage = Stage::Greeted;
            self.awaited_frames = conversation.greeting_frames;
        }
        self.count_frames();
        if self.stage == Stage::Greeted && self.awaited_frames == 0 {
            match &conversation.subscription {
                Some((message, frames)) => {
                    self.send(message)?;
                    self.stage = Stage::Subscribing;
                    self.awaited_frames = *frames;
                }
                None => self.stage = Stage::Open,
            }
        }
        if self.stage == Stage::Subscribing && self.awaited_frames == 0 {
            self.stage = Stage::Open;
        }
        Ok(match self.stage {
            Stage::Open => Progress::Opened,
            _ => Progress::Waits,
        })
    }

    pub(crate) fn begin_commands(&mut self, count: usize) {
        self.commands_left = count;
    }

    /// Sends the next command; false when there is none left.
    pub(crate) fn ask(&mut self, conversation: &Conversation) -> io::Result<bool> {
        if self.commands_left == 0 {
            return Ok(false);
        }
        self.commands_left -= 1;
        self.begun = clock::now();
        self.awaited_frames = 1;
        self.send(&conversation.commands[self.commands_sent % conversation.commands.len()])?;
        self.commands_sent += 1;
        Ok(true)
    }

    /// Whether the answer has come. `has_ended` as above.
    pub(crate) fn is_answered(&mut self, has_ended: bool) -> io::Result<bool> {
        if self.awaited_frames == 0 {
            return Ok(false);
        }
        self.receive(has_ended)?;
        self.count_frames();
        Ok(self.awaited_frames == 0)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.stream.write(bytes)? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(io::Error::other("a command was sent in part only")),
        }
    }

    fn receive(&mut self, has_ended: bool) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::Error::other("the server closed a connection")),
                Ok(read) => {
                    self.received.extend_from_slice(&chunk[..read]);
                    // A short read has emptied the socket; more is a new edge, but for an end that came with it.
                    if read < chunk.len() && !has_ended {
                        return Ok(());
                    }
                }
                Err(error) if is_early(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes whole frames off what was received (RFC 6455 section 5.2; a server's are not masked).
    fn count_frames(&mut self) {
        let mut rest = &self.received[..];
        loop {
            let bytes = match rest {
                [_, 126, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
                [_, short @ 0..=125, ..] => 2 + usize::from(*short),
                _ => break,
            };
            let Some(behind) = rest.get(bytes..) else {
                break;
            };
            rest = behind;
            self.awaited_frames = self.awaited_frames.saturating_sub(1);
        }
        let taken = self.received.len() - rest.len();
        self.received.drain(..taken);
    }
}

fn is_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}
