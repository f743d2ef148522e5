//! Which mutant runs. This file is put into the copy of the core, and is no part of the program beside it.

extern crate std;

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::OnceLock;

static CURRENT: AtomicU32 = AtomicU32::new(UNREAD);
static REACHED: [AtomicBool; 1 << 16] = [const { AtomicBool::new(false) }; 1 << 16];
static RECORD: OnceLock<File> = OnceLock::new();

const UNREAD: u32 = u32::MAX;
/// None runs, and who is asked for is written down.
const RECORDING: u32 = u32::MAX - 1;

#[inline]
pub fn is(number: u32) -> bool {
    let current = CURRENT.load(Ordering::Relaxed);
    if current < RECORDING { current == number } else { first(number) }
}

#[cold]
#[inline(never)]
fn first(number: u32) -> bool {
    if CURRENT.load(Ordering::Relaxed) == UNREAD {
        let current = if let Some(path) = std::env::var_os("SWIM_MUTANTS_REACHED") {
            RECORD.get_or_init(|| OpenOptions::new().append(true).create(true).open(path).expect("the record can be written"));
            RECORDING
        } else {
            std::env::var("SWIM_MUTANT").map_or(0, |number| number.parse().expect("SWIM_MUTANT is a number"))
        };
        CURRENT.store(current, Ordering::Relaxed);
        return is(number);
    }
    if !REACHED[number as usize].swap(true, Ordering::Relaxed) {
        let mut record = RECORD.get().expect("it is open while recording");
        record.write_all(&number.to_le_bytes()).expect("the record can be written");
    }
    false
}

/// One of two iterators.
#[derive(Clone, Debug)]
pub enum Either<L, R> {
    Left(L),
    Right(R),
}

impl<T, L: Iterator<Item = T>, R: Iterator<Item = T>> Iterator for Either<L, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self {
            Self::Left(left) => left.next(),
            Self::Right(right) => right.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Left(left) => left.size_hint(),
            Self::Right(right) => right.size_hint(),
        }
    }
}

impl<T, L: ExactSizeIterator<Item = T>, R: ExactSizeIterator<Item = T>> ExactSizeIterator for Either<L, R> {}
