//! DNS: a query, and the server that answers it, both in this process on the loopback of its network namespace.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::sys::Ret;
use crate::{Usage, Words};

const PORT: u16 = 53;
/// Longer than any datagram takes on the loopback of a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Types of records (RFC 1035, RFC 3596).
fn kind(name: &str) -> Result<u16, Usage> {
    match name {
        "A" => Ok(1),
        "CNAME" => Ok(5),
        "TXT" => Ok(16),
        "AAAA" => Ok(28),
        _ => Err(Usage(format!("{name} is no type"))),
    }
}

fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A message with one question and these answers.
fn message(flags: u16, question: &[u8], answers: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [0x4242, flags, 1, answers.len() as u16, 0, 0] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(question);
    answers.iter().for_each(|answer| bytes.extend_from_slice(answer));
    bytes
}

/// `C=name` or `A=address`, as a record of the name that was asked for.
fn record(text: &str) -> Result<Vec<u8>, Usage> {
    let bad = || Usage(format!("{text} is no answer"));
    let (kind, data) = match text.split_once('=') {
        Some(("C", target)) => (5u16, name(target)),
        Some(("A", address)) => match address.parse().map_err(|_| bad())? {
            IpAddr::V4(v4) => (1, v4.octets().to_vec()),
            IpAddr::V6(v6) => (28, v6.octets().to_vec()),
        },
        _ => return Err(bad()),
    };
    // The name by a pointer to the question, type, class, time to live, length.
    let mut bytes = vec![0xc0, 12];
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
    bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&data);
    Ok(bytes)
}

fn over_udp(server: SocketAddr, query: &[u8], answer: &[u8]) -> io::Result<()> {
    let listener = UdpSocket::bind(server)?;
    let any = SocketAddr::new(server.ip(), 0);
    let client = UdpSocket::bind(any)?;
    client.connect(server)?;
    for socket in [&listener, &client] {
        socket.set_read_timeout(Some(PATIENCE))?;
    }
    client.send(query)?;
    let mut room = [0; 512];
    let (_, from) = listener.recv_from(&mut room)?;
    listener.send_to(answer, from)?;
    client.recv(&mut room).map(drop)
}

fn over_tcp(server: SocketAddr, query: &[u8], answer: &[u8]) -> io::Result<()> {
    let prefixed = |message: &[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    let listener = TcpListener::bind(server)?;
    let mut client = TcpStream::connect(server)?;
    let (mut accepted, _) = listener.accept()?;
    let mut room = [0; 512];
    for (from, to, message) in [(0, 1, query), (1, 0, answer)] {
        let ends = [&mut client, &mut accepted];
        ends[from].write_all(&prefixed(message))?;
        ends[to].set_read_timeout(Some(PATIENCE))?;
        let whole = room.get_mut(..message.len() + 2).ok_or(io::ErrorKind::InvalidInput)?;
        ends[to].read_exact(whole)?;
    }
    Ok(())
}

/// `dns HOW TYPE NAME ANSWERS`: answers with commas between them; none is "no such name".
fn query(words: &mut Words) -> Result<io::Result<()>, Usage> {
    let how = words.text("transport")?;
    let asked = kind(&words.text("type")?)?;
    let mut question = name(&words.text("name")?);
    question.extend_from_slice(&asked.to_be_bytes());
    question.extend_from_slice(&[0, 1]);
    let text = words.text("answers")?;
    let answers: Vec<Vec<u8>> =
        text.split(',').filter(|part| !part.is_empty()).map(record).collect::<Result<_, _>>()?;
    // Recursion desired; a response, recursion available, and "no such name" where there is no answer.
    let query = message(0x0100, &question, &[]);
    let answer = message(if answers.is_empty() { 0x8183 } else { 0x8180 }, &question, &answers);
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Ok(match how.as_str() {
        "udp" => over_udp((loopback, PORT).into(), &query, &answer),
        "udp6" => over_udp((IpAddr::V6(Ipv6Addr::LOCALHOST), PORT).into(), &query, &answer),
        "tcp" => over_tcp((loopback, PORT).into(), &query, &answer),
        // Where Docker's packet filter has moved it to.
        "docker" => over_udp((Ipv4Addr::new(127, 0, 0, 11), 40_053).into(), &query, &answer),
        _ => return Err(Usage(format!("{how} is no transport"))),
    })
}

/// `send-udp-hex ADDRESS PORT BYTES`: to a socket of this process, which takes it.
fn send(words: &mut Words) -> Result<io::Result<()>, Usage> {
    let bad = |what: &str| Usage(format!("no {what}"));
    let ip: IpAddr = words.text("address")?.parse().map_err(|_| bad("address"))?;
    let port = u16::try_from(words.number("port")?).map_err(|_| bad("port"))?;
    let text = words.text("bytes")?;
    let digits = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Vec<u8> =
        (0..text.len()).step_by(2).map(digits).collect::<Option<_>>().ok_or_else(|| bad("bytes"))?;
    let exchange = || {
        let listener = UdpSocket::bind((ip, port))?;
        listener.set_read_timeout(Some(PATIENCE))?;
        UdpSocket::bind((ip, 0))?.send_to(&bytes, (ip, port))?;
        listener.recv(&mut [0; 64]).map(drop)
    };
    Ok(exchange())
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    let result = match verb {
        "dns" => query(words)?,
        "send-udp-hex" => send(words)?,
        _ => return Ok(None),
    };
    Ok(Some(match result {
        Ok(()) => Ret::OK,
        Err(error) => Ret::refused(error.raw_os_error().unwrap_or(libc::EIO)),
    }))
}
