//! A wire between a client and a server that can be cut, and made to lose what the server answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::Port;

#[derive(Debug)]
pub struct Proxy {
    port: Port,
    wire: Arc<Wire>,
}

#[derive(Debug)]
struct Wire {
    target: u16,
    open: Mutex<Vec<TcpStream>>,
    is_cut: AtomicBool,
    loses_answers: AtomicBool,
    is_gone: AtomicBool,
}

impl Proxy {
    /// To a port on loopback.
    pub fn to(target: u16) -> Self {
        let port = Port::free();
        let listener = TcpListener::bind(("127.0.0.1", port.number())).expect("because the port is the test's");
        let wire = Arc::new(Wire {
            target,
            open: Mutex::default(),
            is_cut: AtomicBool::new(false),
            loses_answers: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&wire);
        thread::spawn(move || accepting.accept(&listener));
        Self { port, wire }
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Breaks what is connected, and lets nobody connect.
    pub fn cut(&self) {
        self.wire.is_cut.store(true, SeqCst);
        self.wire.break_all();
    }

    /// From now on requests arrive, and answers do not.
    pub fn lose_answers(&self) {
        self.wire.loses_answers.store(true, SeqCst);
    }

    /// Breaks what is connected; new connections are good.
    pub fn mend(&self) {
        self.wire.loses_answers.store(false, SeqCst);
        self.wire.break_all();
        self.wire.is_cut.store(false, SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.wire.is_gone.store(true, SeqCst);
        self.wire.break_all();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port()));
    }
}

impl Wire {
    fn break_all(&self) {
        for stream in self.open.lock().expect("because nobody panics while holding it").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_gone.load(SeqCst) {
                return;
            }
            if let Ok(client) = stream
                && !self.is_cut.load(SeqCst)
                && let Ok(server) = TcpStream::connect(("127.0.0.1", self.target))
            {
                self.join(&client, &server);
            }
        }
    }

    fn join(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        let twice = |stream: &TcpStream| stream.try_clone().expect("because a socket can be shared");
        let mut open = self.open.lock().expect("because nobody panics while holding it");
        open.extend([twice(client), twice(server)]);
        drop(open);
        let (from, to) = (twice(client), twice(server));
        thread::spawn(move || copy(from, to, || false));
        let (wire, from, to) = (Arc::clone(self), twice(server), twice(client));
        thread::spawn(move || copy(from, to, || wire.loses_answers.load(SeqCst)));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, is_lost: impl Fn() -> bool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !is_lost() && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
