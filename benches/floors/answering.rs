//! The floor of what clients send: one thread and one epoll that accepts, answers the upgrade with 101 and each message
//! with text of the size that the engine's answer has. It looks at frame headers only: nothing is unmasked or parsed.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::event::epoll;
use tickwire_protocol::frame::append_text;
use tickwire_protocol::handshake::{
    Parsed, UpgradeOffer, append_switching_protocols, parse_request,
};

use crate::listen;

/// What epoll names the listener by; clients are named by their place.
const LISTENER: u64 = u64::MAX;

/// Serves until it is ended. `answer_bytes`: sizes of the texts with which messages are answered in turn.
pub(crate) fn serve(address: SocketAddr, answer_bytes: &[usize]) -> Result<(), Box<dyn Error>> {
    let answers: Vec<Vec<u8>> = answer_bytes
        .iter()
        .map(|&bytes| {
            let mut frame = Vec::new();
            append_text(&mut frame, &vec![b'.'; bytes]);
            frame
        })
        .collect();
    if answers.is_empty() {
        return Err("--answer-bytes needs at least one size".into());
    }
    let listener = listen(address)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let name = epoll::EventData::new_u64;
    epoll::add(&epoll, &listener, name(LISTENER), epoll::EventFlags::IN)?;
    println!("listening on {}", listener.local_addr()?);

    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut free: VecDeque<usize> = VecDeque::new();
    let mut events = Vec::with_capacity(256);
    let mut chunk = vec![0; 16 * 1024];
    loop {
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            if event.data.u64() == LISTENER {
                while let Some(client) = accept(&listener)? {
                    let index = free.pop_front().unwrap_or_else(|| {
                        clients.push(None);
                        clients.len() - 1
                    });
                    epoll::add(
                        &epoll,
                        &client.stream,
                        name(index as u64),
                        epoll::EventFlags::IN,
                    )?;
                    clients[index] = Some(client);
                }
                continue;
            }
            let index = usize::try_from(event.data.u64())?;
            let Some(client) = &mut clients[index] else {
                continue;
            };
            if !client.read(&mut chunk, &answers) {
                // Closing takes it out of the epoll.
                clients[index] = None;
                free.push_back(index);
            }
        }
    }
}

struct Client {
    stream: TcpStream,
    is_upgraded: bool,
    /// Bytes of a message that have not come yet.
    rest_bytes: usize,
    /// Messages so far.
    messages: usize,
}

fn accept(listener: &TcpListener) -> Result<Option<Client>, Box<dyn Error>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(Some(Client {
                stream,
                is_upgraded: false,
                rest_bytes: 0,
                messages: 0,
            }))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Client {
    /// Reads once and answers what came. False when the client left, or does what only a fault would: a request or a
    /// frame's header in pieces, or an answer that its socket has no room for.
    fn read(&mut self, chunk: &mut [u8], answers: &[Vec<u8>]) -> bool {
        let input = match self.stream.read(chunk) {
            Ok(0) => return false,
            Ok(read) => &chunk[..read],
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        if self.is_upgraded {
            return self.answer(input, answers);
        }
        let Ok(Parsed::Complete { request, .. }) = parse_request(input) else {
            return false;
        };
        let UpgradeOffer::Valid { key } = request.upgrade else {
            return false;
        };
        self.is_upgraded = true;
        let mut answer = Vec::new();
        append_switching_protocols(&mut answer, key);
        self.send(&answer)
    }

    fn answer(&mut self, mut input: &[u8], answers: &[Vec<u8>]) -> bool {
        while !input.is_empty() {
            if self.rest_bytes == 0 {
                let Some(bytes) = frame_bytes(input) else {
                    return false;
                };
                self.rest_bytes = bytes;
            }
            let here = self.rest_bytes.min(input.len());
            input = &input[here..];
            self.rest_bytes -= here;
            if self.rest_bytes == 0 {
                let answer = &answers[self.messages % answers.len()];
                self.messages += 1;
                if !self.send(answer) {
                    return false;
                }
            }
        }
        true
    }

    fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(self.stream.write(bytes), Ok(sent) if sent == bytes.len())
    }
}

/// Length of a client's frame with its header and mask (RFC 6455 section 5.2); `None` when the header is not complete.
fn frame_bytes(input: &[u8]) -> Option<usize> {
    const MASK_BYTES: usize = 4;
    let short = usize::from(input.get(1)? & 0x7f);
    let (header, payload) = match short {
        126 => (
            4,
            usize::from(u16::from_be_bytes([*input.get(2)?, *input.get(3)?])),
        ),
        127 => return None,
        short => (2, short),
    };
    Some(header + MASK_BYTES + payload)
}
