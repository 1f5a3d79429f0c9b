//! Where a program of a test runs: on the machine itself, or on a host of the test's own network.

use std::fs::File;
use std::marker::PhantomData;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// An address, and the namespace in which programs have it.
#[derive(Clone, Debug)]
pub struct Host {
    address: Ipv4Addr,
    /// `None`: where the test is.
    namespace: Option<Arc<File>>,
}

impl Host {
    /// The machine, under an address that nobody else reaches.
    pub fn loopback() -> Self {
        Self { address: Ipv4Addr::LOCALHOST, namespace: None }
    }

    pub(crate) fn new(address: Ipv4Addr, namespace: File) -> Self {
        Self { address, namespace: Some(Arc::new(namespace)) }
    }

    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub fn is_loopback(&self) -> bool {
        self.address.is_loopback()
    }

    /// Does something there: a program that it starts stays there, a port that it looks for is free there.
    pub fn run<T>(&self, what: impl FnOnce() -> T) -> T {
        let _inside = self.namespace.as_deref().map(Inside::enter);
        what()
    }
}

/// This thread, and what it starts, is in another namespace as long as this lives.
#[derive(Debug)]
pub(crate) struct Inside {
    from: File,
    /// It is about a thread, and stays with it.
    _thread: PhantomData<*const ()>,
}

impl Inside {
    pub(crate) fn enter(namespace: &File) -> Self {
        let from = current().expect("because a thread is in a namespace");
        move_into(namespace);
        Self { from, _thread: PhantomData }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        move_into(&self.from);
    }
}

/// The namespace of this thread, which lasts as long as it is open.
pub(crate) fn current() -> std::io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

fn move_into(namespace: &File) {
    let moved = move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
    moved.expect("because who has made a namespace may enter it");
}
