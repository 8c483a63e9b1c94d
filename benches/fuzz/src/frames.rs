//! Frames of either side, whole and in pieces.

use tickwire_protocol::frame::{FrameDecoder, FrameError, Incoming, PeerRole};

const MESSAGE_BYTES_MAX: usize = 1024;

/// An event and, where it completes a message, the message.
type Event = (Incoming, Vec<u8>);

/// The first byte says who sends and how the rest is cut: any cutting gives the same events and close code, and the buffer grows with
/// what has arrived.
pub fn check(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let peer = if first & 1 == 0 {
        PeerRole::Client
    } else {
        PeerRole::Server
    };
    let whole = decode(peer, [rest]);
    let pieces = decode(peer, rest.chunks(usize::from(first / 2).max(1)));
    // Of several errors in a header the one that shows first is told; the code is the same.
    let code = |error: Option<FrameError>| error.map(FrameError::close_code);
    assert_eq!((whole.0, code(whole.1)), (pieces.0, code(pieces.1)));
}

fn decode<'d>(
    peer: PeerRole,
    pieces: impl IntoIterator<Item = &'d [u8]>,
) -> (Vec<Event>, Option<FrameError>) {
    let mut decoder = FrameDecoder::new(peer, MESSAGE_BYTES_MAX);
    let (mut events, mut message, mut arrived) = (Vec::new(), Vec::new(), 0);
    for mut input in pieces {
        arrived += input.len();
        loop {
            let decoded = decoder.decode(&mut input, &mut message);
            assert!(message.len() <= MESSAGE_BYTES_MAX.min(arrived));
            // A vector doubles, from a least size on.
            assert!(message.capacity() <= 2 * arrived.max(64));
            match decoded {
                Ok(Some(incoming @ (Incoming::Text | Incoming::Binary))) => {
                    assert!(incoming == Incoming::Binary || str::from_utf8(&message).is_ok());
                    events.push((incoming, std::mem::take(&mut message)));
                }
                Ok(Some(incoming)) => events.push((incoming, Vec::new())),
                Ok(None) => {
                    assert!(input.is_empty());
                    break;
                }
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}
