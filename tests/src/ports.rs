//! Ports that no other test process takes meanwhile, also not between a kill of the
//! daemon and its restart: below those that the system gives out by itself, each held by
//! the lock of a file.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    fs::{File, OpenOptions},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A port of this machine's loopback that is ours until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Takes a free one.
    pub fn take() -> Self {
        let folder = std::env::temp_dir().join("streamspace-test-ports");
        std::fs::create_dir_all(&folder).expect("a folder for locks");
        // Test processes that run at once begin at different places.
        let span = u32::from(PORTS.end - PORTS.start);
        let begin = std::process::id().wrapping_mul(97) % span;
        for step in 0..span {
            let offset = u16::try_from((begin + step) % span).unwrap_or(0);
            let number = PORTS.start + offset;
            let path = folder.join(number.to_string());
            let Ok(lock) = OpenOptions::new().create(true).append(true).open(path) else {
                continue;
            };
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no port of {PORTS:?} is free");
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}
