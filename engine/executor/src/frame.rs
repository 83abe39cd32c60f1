//! How messages lie on the socket: a length of four bytes, then the message as postcard. A length over
//! the limit is refused before anything is allocated for it. The first frame is an order, which carries
//! files along with its length.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::{FILES_MAX, ORDER_BYTES_MAX, Order};

/// Bytes of a length.
pub(crate) const LENGTH_BYTES: usize = 4;
/// Least room that is made for a message before its bytes are there, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// A message in its frame.
pub(crate) fn encode<T: Serialize>(message: &T, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(message, vec![0; LENGTH_BYTES]).map_err(invalid)?;
    let bytes = frame.len() - LENGTH_BYTES;
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= bytes_max);
    let length =
        length.ok_or_else(|| invalid(format!("a message has {bytes} bytes, and {bytes_max} are allowed")))?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// The length in a frame's first bytes.
pub(crate) fn length(head: [u8; LENGTH_BYTES], bytes_max: usize) -> io::Result<usize> {
    let bytes = u32::from_le_bytes(head);
    let length = usize::try_from(bytes).ok().filter(|length| *length <= bytes_max);
    length.ok_or_else(|| invalid(format!("a message of {bytes} bytes, where {bytes_max} are allowed")))
}

/// The message that these bytes are, all of them.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(invalid(format!("a message with {} bytes too many", rest.len()))),
        Err(error) => Err(invalid(error)),
    }
}

/// Sends an order and its files, in their order.
pub(crate) fn send_order(socket: &UnixStream, order: &Order, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let frame = encode(order, ORDER_BYTES_MAX)?;
    let (head, body) = frame.split_at(LENGTH_BYTES);
    let raw: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL;
    let sent = sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(head)], rights, flags, None)?;
    if sent != head.len() {
        return Err(invalid("the socket does not take the length of an order"));
    }
    (&mut &*socket).write_all(body)
}

/// Waits for an order; none if the parent has ended.
pub(crate) fn receive_order(socket: &UnixStream) -> io::Result<Option<(Order, Vec<OwnedFd>)>> {
    let mut head = [0; LENGTH_BYTES];
    let mut space = nix::cmsg_space!([RawFd; FILES_MAX]);
    let mut pieces = [IoSliceMut::new(&mut head)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut pieces, Some(&mut space), flags)?;
    let mut files = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = control {
            // SAFETY: the kernel has just made these descriptors for this message, and nobody else knows
            // of them.
            files.extend(received.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
        }
    }
    match message.bytes {
        0 => return Ok(None),
        LENGTH_BYTES => {}
        bytes => return Err(invalid(format!("an order begins with {bytes} bytes"))),
    }
    let body = read_body(&mut &*socket, length(head, ORDER_BYTES_MAX)?)?;
    Ok(Some((decode(&body)?, files)))
}

/// Reads so many bytes; room is made as they come.
fn read_body(from: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(bytes.min(PIECE_BYTES));
    from.take(bytes as u64).read_to_end(&mut body)?;
    if body.len() == bytes { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::message::{Bounds, Work};

    fn order() -> Order {
        let bounds =
            Bounds { data_bytes_max: 7, processor_seconds_max: None, file_bytes_max: None, required: true };
        Order { bounds, work: Work::Compile }
    }

    #[test]
    fn an_order_arrives_with_its_files() {
        let (parent, child) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        send_order(&parent, &order(), &[file.as_fd(), file.as_fd()]).unwrap();
        send_order(&parent, &order(), &[]).unwrap();
        drop(parent);
        let (received, files) = receive_order(&child).unwrap().unwrap();
        assert_eq!((received.bounds.data_bytes_max, files.len()), (7, 2));
        let mut content = [0; 7];
        std::os::unix::fs::FileExt::read_exact_at(
            &std::fs::File::from(files.into_iter().next().unwrap()),
            &mut content,
            0,
        )
        .unwrap();
        assert_eq!(&content, b"content");
        assert!(receive_order(&child).unwrap().unwrap().1.is_empty());
        assert!(receive_order(&child).unwrap().is_none());
    }

    #[test]
    fn what_is_too_long_or_no_message_is_refused() {
        assert!(encode(&vec![0u8; 100], 50).is_err());
        assert!(length([0xff; LENGTH_BYTES], 1 << 20).is_err());
        assert_eq!(length([5, 0, 0, 0], 5).unwrap(), 5);
        let frame = encode(&7u64, 50).unwrap();
        assert_eq!(decode::<u64>(&frame[LENGTH_BYTES..]).unwrap(), 7);
        assert!(decode::<u64>(&[7, 7]).is_err() && decode::<u64>(&[0xff]).is_err());
    }
}
