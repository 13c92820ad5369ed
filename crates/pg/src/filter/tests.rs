//! The filter against a list of messages of which the passing ones are known, with cuts anywhere.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::{AsyncRead, ReadBuf};

use super::{Filter, FilterControl, MessageFilter, RowLimit, Violation};

const ROWS: [RowLimit; 6] = [
    RowLimit::All,
    RowLimit::First(0),
    RowLimit::First(40),
    RowLimit::First(u64::MAX),
    RowLimit::AtMost(40),
    RowLimit::AtMost(100_000),
];

/// The answers to some queries: of each message the type and the size of the body.
type Messages = Vec<(u8, usize)>;

fn message(tag: u8, body: usize) -> Vec<u8> {
    let length = i32::try_from(body + 4).expect("a message of the test is short");
    let mut body = vec![0; body];
    // The short bodies differ at each place.
    body.iter_mut().take(200).zip(0..).for_each(|(byte, at)| *byte = at);
    [&[tag][..], &length.to_be_bytes(), &body].concat()
}

fn stream(messages: &[(u8, usize)]) -> Vec<u8> {
    messages.iter().flat_map(|(tag, body)| message(*tag, *body)).collect()
}

/// The startup that precedes the messages.
fn startup() -> Messages {
    vec![(b'R', 4), (b'S', 20), (b'N', 30), (b'K', 8), (b'Z', 1)]
}

/// What passes, and why the session ends, by a list of whole messages.
fn expected(messages: &[(u8, usize)], rows: RowLimit) -> (Vec<u8>, Option<Violation>) {
    let (mut passed, mut sum, mut is_startup, mut startup_bytes) = (Vec::new(), 0, true, 0);
    for &(tag, body) in messages {
        let bytes = body as u64 + 4;
        startup_bytes += bytes;
        let (is_row, is_notice) = (!is_startup && b"Dd".contains(&tag), !is_startup && b"NA".contains(&tag));
        let bytes_max = if is_startup { 65_536 } else { 1_048_576 };
        if !is_row && !is_notice && tag != b'S' && bytes > bytes_max || is_startup && bytes > bytes_max {
            return (passed, Some(Violation::TooLong { tag, bytes, bytes_max }));
        }
        if is_startup && startup_bytes > 1_048_576 {
            return (passed, Some(Violation::LongStartup { tag, bytes_max: 1_048_576 }));
        }
        let mut passes = is_startup || tag != b'S' && (!is_notice || bytes <= bytes_max);
        if is_row {
            sum += bytes;
            match rows {
                RowLimit::AtMost(bytes_max) if sum > bytes_max => {
                    return (passed, Some(Violation::TooManyRows { bytes: sum, bytes_max }));
                }
                RowLimit::First(bytes_max) => passes = sum <= bytes_max,
                _ => {}
            }
        }
        if tag == b'Z' {
            (is_startup, sum) = (false, 0);
        }
        if passes {
            passed.extend(message(tag, body));
        }
    }
    (passed, None)
}

fn filtered<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, rows: RowLimit) -> (Vec<u8>, Option<Violation>) {
    let (mut filter, mut passed, mut violation) = (MessageFilter::new(false), Vec::new(), None);
    for chunk in chunks {
        let result = filter.filter(chunk, rows, |piece| passed.extend_from_slice(piece));
        assert!(violation.is_none() || result.err() == violation, "a violation is final");
        violation = result.err();
    }
    (passed, violation)
}

fn bodies() -> impl Strategy<Value = usize> {
    prop_oneof![400 => 0..60_usize, 2 => Just(65_532_usize), 2 => Just(65_533), 1 => Just(1_048_572), 1 => Just(1_048_573)]
}

/// The sizes of reads, most of them smaller than a message.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![1..80_usize, 1..20_000_usize]
}

fn answers() -> impl Strategy<Value = Messages> {
    let tags = select(b"DDDDDddTCCEIZZZNAS1n".to_vec());
    (prop::collection::vec((tags, bodies()), 0..30), any::<bool>()).prop_map(|(messages, starts)| {
        // Half of the streams are over the limits of the startup or never reach the queries.
        if starts { [startup(), messages].concat() } else { messages }
    })
}

proptest! {
    #[test]
    fn what_passes_does_not_depend_on_where_the_stream_is_cut(
        messages in answers(), rows in select(ROWS.to_vec()), sizes in prop::collection::vec(sizes(), 1..20)
    ) {
        let bytes = stream(&messages);
        let (mut rest, mut chunks) = (&bytes[..], Vec::new());
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at(rest.len().min(*size));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert!(filtered(chunks, rows) == expected(&messages, rows));
        prop_assert!(filtered([&bytes[..]], rows) == expected(&messages, rows));
    }

    #[test]
    fn a_reader_with_a_buffer_of_any_size_gets_what_passes(
        messages in answers(), rows in select(ROWS.to_vec()),
        sizes in prop::collection::vec(sizes(), 1..20), buffers in prop::collection::vec(sizes(), 1..20)
    ) {
        let (passed, violation) = expected(&messages, rows);
        let control = Arc::new(FilterControl::new(rows));
        let stream = Chunks { bytes: stream(&messages), read: 0, sizes, reads: 0 };
        let (read, error) = read_all(Filter::new(stream, Arc::clone(&control), false), &buffers);
        prop_assert!(read == passed);
        prop_assert_eq!(error.map(|error| error.to_string()), violation.map(|violation| violation.to_string()));
        prop_assert_eq!(control.violation(), violation);
    }
}

/// A stream that returns at most so many bytes in each read.
#[derive(Debug)]
struct Chunks {
    bytes: Vec<u8>,
    read: usize,
    sizes: Vec<usize>,
    reads: usize,
}

impl AsyncRead for Chunks {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &self.bytes[self.read..];
        let size = self.sizes[self.reads % self.sizes.len()].min(into.remaining()).min(rest.len());
        into.put_slice(&rest[..size]);
        self.read += size;
        self.reads += 1;
        Poll::Ready(Ok(()))
    }
}

fn read_all(mut filter: Filter<Chunks>, buffers: &[usize]) -> (Vec<u8>, Option<io::Error>) {
    let (mut read, mut context) = (Vec::new(), Context::from_waker(Waker::noop()));
    for size in buffers.iter().cycle() {
        let mut buffer = vec![0; *size];
        let mut buffer = ReadBuf::new(&mut buffer);
        match Pin::new(&mut filter).poll_read(&mut context, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => return (read, None),
            Poll::Ready(Ok(())) => read.extend_from_slice(buffer.filled()),
            Poll::Ready(Err(error)) => return (read, Some(error)),
            Poll::Pending => unreachable!("the stream is always ready"),
        }
    }
    unreachable!("the loop has no end")
}

/// A stream with every kind of message, cut at each byte.
#[test]
fn a_stream_cut_at_each_byte_passes_the_same() {
    let answers = [(b'T', 9), (b'D', 7), (b'D', 0), (b'N', 3), (b'S', 5), (b'D', 50), (b'D', 1), (b'C', 9), (b'Z', 1)];
    let copy = [(b'H', 7), (b'd', 30), (b'd', 30), (b'c', 0), (b'C', 5), (b'E', 20), (b'Z', 1)];
    let messages = [startup(), answers.to_vec(), copy.to_vec()].concat();
    let bytes = stream(&messages);
    for rows in ROWS {
        let expected = expected(&messages, rows);
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(filtered([left, right], rows), expected, "{rows:?}, cut at {cut}");
        }
        assert_eq!(filtered(bytes.chunks(1), rows), expected, "{rows:?}, byte by byte");
    }
}

#[test]
fn the_first_rows_of_each_query_pass() {
    let query = [(b'T', 3), (b'D', 10), (b'D', 10), (b'D', 30), (b'D', 0), (b'C', 3), (b'Z', 1)];
    let kept = [(b'T', 3), (b'D', 10), (b'D', 10), (b'C', 3), (b'Z', 1)];
    let [sent, kept] = [&query[..], &kept[..]].map(|query| stream(&[&startup(), query, query].concat()));
    // The row of 4 bytes would fit, but it follows one that was dropped.
    assert_eq!(filtered([&sent[..]], RowLimit::First(40)), (kept, None));
}

#[test]
fn a_violation_names_the_message_and_its_size() {
    let mut filter = MessageFilter::new(false);
    let mut send = |bytes: &[u8]| filter.filter(bytes, RowLimit::All, |_| ()).map_err(|error| error.to_string());
    assert_eq!(send(&stream(&startup())), Ok(()));
    let said = "the server sent a message ErrorResponse of 70000000 bytes, and 1048576 are allowed";
    assert_eq!(send(b"E\x04\x2c\x1d\x80"), Err(said.to_owned()));
    for (header, said) in [
        (*b"E\0\0\0\x03", "the server sent a message ErrorResponse with the invalid length 3"),
        (*b"D\xff\xff\xff\xff", "the server sent a message DataRow with the invalid length -1"),
        (*b"\x07\x80\0\0\0", "the server sent a message of the unknown type 0x07 with the invalid length -2147483648"),
        (*b"R\0\x01\0\x01", "the server sent a message Authentication of 65537 bytes, and 65536 are allowed"),
    ] {
        let violation = MessageFilter::new(false).filter(&header, RowLimit::First(0), |_| ()).expect_err(said);
        assert_eq!(violation.to_string(), said);
    }
}

/// The answer to the request for TLS is no message.
#[test]
fn the_first_byte_of_a_negotiated_connection_passes() {
    let mut filter = MessageFilter::new(true);
    let mut passed = Vec::new();
    let bytes = [b"N".to_vec(), stream(&startup())].concat();
    for byte in &bytes {
        let pass = |piece: &[u8]| passed.extend_from_slice(piece);
        filter.filter(std::slice::from_ref(byte), RowLimit::First(0), pass).expect("all of it is fine");
    }
    assert!(passed == bytes && filter.is_between_messages());
}

/// The driver would keep the notices and settings of an endless startup.
#[test]
fn an_endless_startup_is_ended() {
    let messages: Messages = std::iter::repeat_n((b'S', 60_000), 100).collect();
    let (passed, violation) = filtered([&stream(&messages)[..]], RowLimit::All);
    assert!(passed.len() < 1_100_000);
    assert_eq!(violation, Some(Violation::LongStartup { tag: b'S', bytes_max: 1 << 20 }));
}
