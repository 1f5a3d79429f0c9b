//! Floods of connections, heads, streams and resets: the server stays up, and serves others meanwhile. Each test prints
//! its figures.

mod frames;
mod others;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use punctual_tests::{Server, folder, now, resident};
use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, connect, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::frames::{CONTINUATION, END_HEADERS, END_STREAM, Ending, GET_HEALTHZ, HEADERS, RST_STREAM, frame, opened};
use self::others::served_meanwhile;

const HEAD: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
/// How long a flood that goes on by itself is kept up.
const FLOOD: Duration = Duration::from_secs(4);

/// A connection from one of this machine's own addresses; clients are told apart by theirs.
fn from(address: [u8; 4], server: &Server) -> std::io::Result<TcpStream> {
    let to: std::net::SocketAddrV4 = server.address().parse().expect("because a port was given to it");
    let socket: OwnedFd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(address.into(), 0))?;
    connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// Both ends of ten thousand connections are more than a program may have open that did not ask.
fn raise_open_files() -> u64 {
    let had = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: had.maximum, maximum: had.maximum })
        .expect("because root is not asked");
    had.maximum.unwrap_or(u64::MAX)
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_out() {
    let room = usize::try_from(raise_open_files()).expect("a number of files").saturating_sub(2_000);
    let number = room.min(10_000);
    let folder = folder();
    let mut server = Server::bare(folder.path(), &["--max-connections", "12000"]);
    let pid = server.process().pid();
    let before = resident(pid);
    let ((idle, after), others) = served_meanwhile(&server, || {
        let idle: Vec<TcpStream> = (0..number)
            .map(|index| {
                let client = u8::try_from(index / 900).expect("few clients");
                from([127, 0, 1, client + 1], &server).expect("a place")
            })
            .collect();
        others::a_while();
        (idle, resident(pid))
    });
    let each = after.saturating_sub(before) / idle.len() as u64;
    let open = idle.iter().filter(|stream| is_open(stream)).count();
    println!("{open} idle connections: {each} bytes each; others: {others}");
    assert!(server.process().status().is_none());
    // The first of them are hung up on after 30 s; a machine that is busy may need longer to open the last.
    assert!(open >= number / 2, "{open}");
}

#[test]
fn one_clients_flood_of_connections_is_turned_away() {
    raise_open_files();
    let folder = folder();
    let server = Server::bare(folder.path(), &["--max-connections-per-address", "200"]);
    let (refused, others) = served_meanwhile(&server, || {
        let mut kept: Vec<TcpStream> = Vec::new();
        let mut refused = 0;
        for _ in 0..2_000 {
            let Ok(mut stream) = from([127, 0, 0, 2], &server) else { continue };
            if kept.len() < 200 {
                kept.push(stream);
                continue;
            }
            let mut told = Vec::new();
            // Those that come too fast are only hung up on.
            stream.read_to_end(&mut told).ok();
            assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 429 "), "{}", String::from_utf8_lossy(&told));
            refused += 1;
        }
        refused
    });
    println!("{refused} connections beyond 200 of one address were turned away; others: {others}");
    assert_eq!(refused, 1_800);
}

#[test]
fn slow_heads_hold_up_nobody() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let (bytes, others) = served_meanwhile(&server, || {
        let mut slow: Vec<TcpStream> = (0..800).map(|_| from([127, 0, 0, 3], &server).expect("a place")).collect();
        let begin = now();
        let mut bytes = 0;
        for byte in HEAD.iter().cycle() {
            if (now() - begin).to_std().is_ok_and(|passed| passed > FLOOD) {
                break;
            }
            bytes += slow.iter_mut().map(|stream| stream.write_all(&[*byte])).filter(Result::is_ok).count();
            std::thread::sleep(Duration::from_millis(100));
        }
        bytes
    });
    println!("800 connections sent {bytes} bytes of heads, one by one; others: {others}");
    assert!(server.process().status().is_none());
}

#[test]
fn endless_heads_are_cut_off() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let before = resident(server.process().pid());
    let ((http1, http2), others) = served_meanwhile(&server, || {
        let mut stream = from([127, 0, 0, 4], &server).expect("a place");
        stream.write_all(HEAD).expect("a head begins");
        let mut http1 = HEAD.len();
        while http1 < 64 << 20 && stream.write_all(b"x-endless: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").is_ok() {
            http1 += 53;
        }
        let mut stream = from([127, 0, 0, 4], &server).expect("a place");
        opened(&mut stream);
        stream.write_all(&frame(HEADERS, END_STREAM, 1, GET_HEALTHZ)).expect("headers begin");
        // Literal fields without an index: `a: ` and 100 bytes.
        let mut field = vec![0x00, 1, b'a', 100];
        field.extend([b'b'; 100]);
        let fields = field.repeat(100);
        let mut http2 = 0;
        while http2 < 64 << 20 && stream.write_all(&frame(CONTINUATION, 0, 1, &fields)).is_ok() {
            http2 += fields.len();
        }
        (http1, http2)
    });
    let grown = resident(server.process().pid()).saturating_sub(before);
    println!(
        "endless heads: cut off after {http1} bytes over HTTP/1.1 and {http2} over HTTP/2, as sockets hold some; \
         the server grew by {grown} bytes; others: {others}"
    );
    assert!(http1 < 64 << 20 && http2 < 64 << 20, "a head has an end");
    assert!(grown < 64 << 20, "{grown}");
}

#[test]
fn rapid_resets_end_their_connections_and_hold_up_nobody() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let before = resident(server.process().pid());
    let ((connections, resets, calmed), others) = served_meanwhile(&server, || {
        let begin = now();
        let (mut connections, mut resets, mut calmed) = (0, 0, 0);
        while (now() - begin).to_std().is_ok_and(|passed| passed < FLOOD) {
            let mut stream = from([127, 0, 0, 5], &server).expect("a place");
            opened(&mut stream);
            connections += 1;
            for batch in 0..200_u32 {
                let mut flood = Vec::new();
                for stream in (batch * 100..(batch + 1) * 100).map(|index| 2 * index + 1) {
                    flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, GET_HEALTHZ));
                    flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
                }
                if stream.write_all(&flood).is_err() {
                    break;
                }
                resets += 100;
            }
            calmed += u32::from(frames::ending(&mut stream) == Ending::EnhanceYourCalm);
        }
        (connections, resets, calmed)
    });
    let grown = resident(server.process().pid()).saturating_sub(before);
    println!(
        "{resets} streams were reset at once on {connections} connections, {calmed} of which were told to calm down; \
         the server grew by {grown} bytes; others: {others}"
    );
    assert!(calmed > 0, "nobody was told to calm down");
    assert!(grown < 256 << 20, "{grown}");
    assert!(server.process().status().is_none());
}

#[test]
fn one_connection_has_no_more_streams_than_it_may() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let ((opened_streams, refused), others) = served_meanwhile(&server, || {
        let mut stream = from([127, 0, 0, 6], &server).expect("a place");
        opened(&mut stream);
        let mut flood = Vec::new();
        for index in 0..3_000_u32 {
            flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, 2 * index + 1, frames::WATCH_RUNS));
        }
        stream.write_all(&flood).expect("the server reads");
        others::a_while();
        (3_000, frames::refused_streams(&mut stream))
    });
    println!("of {opened_streams} streams on one connection {refused} were refused; others: {others}");
    assert!(refused >= 1_000, "{refused}");
    assert!(server.process().status().is_none());
}

/// Whether the server has not hung up.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Reads what has come, until nothing more does.
fn drained(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a socket");
    let mut all = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return all,
            Ok(read) => all.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Nothing comes any more, or the connection was broken off.
            Err(_) => return all,
        }
    }
}
