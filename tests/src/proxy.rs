//! A wire between a client and a server that can be cut, made to lose what the server answers, and made to keep what
//! clients send until later.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
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
    holding: Mutex<Holding>,
    /// Something was kept, or is kept no longer.
    turned: Condvar,
    is_gone: AtomicBool,
}

/// What clients have sent that the server does not get yet.
#[derive(Debug, Default)]
struct Holding {
    connections: u64,
    /// The connections before this one are held up.
    before: u64,
    kept: usize,
    clients: Vec<(u64, TcpStream)>,
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
            holding: Mutex::default(),
            turned: Condvar::new(),
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

    /// What is sent from now on over the connections that are there is kept; new connections are good.
    pub fn hold(&self) {
        let mut holding = self.wire.holding();
        holding.before = holding.connections;
    }

    /// What is sent over the next connection is kept; those after it are good.
    pub fn hold_next(&self) {
        let mut holding = self.wire.holding();
        holding.before = holding.connections + 1;
    }

    /// Waits until something is kept, and hangs up on who sent it.
    pub fn hang_up(&self) {
        let mut holding = self.wire.holding();
        while holding.kept == 0 {
            holding = self.wire.turned.wait(holding).expect("because nobody panics while holding it");
        }
        let before = holding.before;
        for (_, client) in holding.clients.iter().filter(|(number, _)| *number < before) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// How many bytes are kept.
    pub fn kept(&self) -> usize {
        self.wire.holding().kept
    }

    /// What was kept arrives after all.
    pub fn let_go(&self) {
        self.wire.let_go();
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
        self.wire.let_go();
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

    fn holding(&self) -> MutexGuard<'_, Holding> {
        self.holding.lock().expect("because nobody panics while holding it")
    }

    fn let_go(&self) {
        self.holding().before = 0;
        self.turned.notify_all();
    }

    /// Keeps what came over a connection while that is held up.
    fn keep(&self, connection: u64, bytes: usize) {
        let mut holding = self.holding();
        if connection < holding.before {
            holding.kept += bytes;
            self.turned.notify_all();
            while connection < holding.before {
                holding = self.turned.wait(holding).expect("because nobody panics while holding it");
            }
            holding.kept -= bytes;
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
        let mut holding = self.holding();
        let number = holding.connections;
        holding.connections += 1;
        holding.clients.push((number, twice(client)));
        drop(holding);
        let (wire, from, to) = (Arc::clone(self), twice(client), twice(server));
        let arrives = move |bytes| {
            wire.keep(number, bytes);
            true
        };
        thread::spawn(move || copy(from, to, arrives));
        let (wire, from, to) = (Arc::clone(self), twice(server), twice(client));
        thread::spawn(move || copy(from, to, |_| !wire.loses_answers.load(SeqCst)));
    }
}

/// `arrives`: whether so many bytes do, asked when they have come.
fn copy(mut from: TcpStream, mut to: TcpStream, arrives: impl Fn(usize) -> bool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if arrives(read) && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
