//! Frames: whatever arrives in whatever pieces, the decoder finds the same messages and faults as a
//! reading of all bytes at once, and asks for no byte too many.

use mr_net::decoder::Decoder;
use mr_net::{CloseReason, Fault, Refusal, SegmentInfo};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::take::Supply;

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// How a stream of frames ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Between,
    Within,
    Fault(Fault),
}

/// Target: first byte for the kind of message, second for the size of pieces, two for the cap.
pub fn frame(data: &[u8]) {
    let mut supply = Supply(data);
    let (kind, piece) = (supply.below(5), usize::from(supply.byte()));
    let bytes_max = usize::from(supply.short());
    let stream = supply.rest();
    // The first four bytes of a close are its code, the others its reason.
    let _ = CloseReason::decode(u64::from(Supply(data).word()), stream);
    match kind {
        0 => compare::<Vec<u8>>(stream, piece, bytes_max),
        1 => compare::<Result<(), Refusal>>(stream, piece, bytes_max),
        2 => compare::<CloseReason>(stream, piece, bytes_max),
        3 => compare::<Option<SegmentInfo>>(stream, piece, bytes_max),
        _ => compare::<(u64, Vec<String>, i32)>(stream, piece, bytes_max),
    }
}

fn compare<T: DeserializeOwned + Serialize>(stream: &[u8], piece: usize, bytes_max: usize) {
    let encoded = |messages: Vec<T>| -> Vec<Vec<u8>> {
        messages.iter().map(|message| postcard::to_stdvec(message).unwrap()).collect()
    };
    let (messages, end) = in_pieces::<T>(stream, piece + 1, bytes_max);
    let (expected, expected_end) = at_once::<T>(stream, bytes_max);
    assert_eq!((encoded(messages), end), (encoded(expected), expected_end));
}

/// Gives the stream to the decoder, at most `piece` bytes at a time.
fn in_pieces<T: DeserializeOwned>(mut stream: &[u8], piece: usize, bytes_max: usize) -> (Vec<T>, End) {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    loop {
        let missing = match decoder.missing(bytes_max) {
            Ok(missing) => missing,
            Err(fault) => return (messages, End::Fault(fault)),
        };
        if missing == 0 {
            match decoder.message() {
                Ok(message) => messages.push(message),
                Err(fault) => return (messages, End::Fault(fault)),
            }
            continue;
        }
        assert!(missing <= bytes_max + LENGTH_BYTES, "{missing} bytes are asked for");
        if stream.is_empty() {
            return (messages, if decoder.is_between() { End::Between } else { End::Within });
        }
        let (now, later) = stream.split_at(missing.min(piece).min(stream.len()));
        decoder.take(now);
        stream = later;
    }
}

fn at_once<T: DeserializeOwned>(mut stream: &[u8], bytes_max: usize) -> (Vec<T>, End) {
    let mut messages = Vec::new();
    loop {
        let Some((length, rest)) = stream.split_first_chunk::<LENGTH_BYTES>() else {
            return (messages, if stream.is_empty() { End::Between } else { End::Within });
        };
        let bytes = u32::from_le_bytes(*length);
        if bytes as usize > bytes_max {
            let bytes_max = u32::try_from(bytes_max).unwrap();
            return (messages, End::Fault(Fault::Oversized { bytes, bytes_max }));
        }
        let Some((frame, rest)) = rest.split_at_checked(bytes as usize) else {
            return (messages, End::Within);
        };
        match postcard::take_from_bytes(frame) {
            Ok((message, [])) => messages.push(message),
            _ => return (messages, End::Fault(Fault::Garbage)),
        }
        stream = rest;
    }
}

/// Streams of good frames of every kind.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    fn stream<T: Serialize>(kind: u8, piece: u8, messages: &[T]) -> Vec<u8> {
        let mut stream = vec![kind, piece, 0xff, 0x0f];
        for message in messages {
            let message = postcard::to_stdvec(message).unwrap();
            stream.extend_from_slice(&u32::try_from(message.len()).unwrap().to_le_bytes());
            stream.extend_from_slice(&message);
        }
        stream
    }
    let info = SegmentInfo::of(b"segment");
    vec![
        stream(0, 200, &[vec![1u8, 2, 3], vec![], vec![7; 300]]),
        stream(1, 0, &[Ok(()), Err(Refusal::Version { dialer: 2, listener: 1 })]),
        stream(2, 3, &[CloseReason::Done, CloseReason::Fault(Fault::Garbage)]),
        stream(3, 9, &[Some(info), None]),
        stream(4, 1, &[(u64::MAX, vec!["a".to_owned(), "b".to_owned()], -5i32)]),
    ]
}
