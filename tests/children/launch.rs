//! `launch OPTIONS -- COMMAND…` becomes COMMAND, after it has made the
//! surroundings hostile: signals ignored or blocked, descriptors closed.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::IntoRawFd;

use nix::libc;
use nix::unistd::execvp;

use super::signals;

/// `--ignore N`, `--block` (all signals), `--close N`, `--open PATH` (a
/// descriptor that is inherited), `--no-new-privileges`.
pub fn launch(words: &[&str]) {
    let place = words.iter().position(|word| *word == "--").unwrap();
    let (options, command) = words.split_at(place);
    let mut close = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--block" => signals::block_all(),
            "--ignore" => signals::set_ignored(options.next().unwrap().parse().unwrap()),
            "--close" => close.push(options.next().unwrap().parse().unwrap()),
            "--open" => inherit(options.next().unwrap()),
            "--no-new-privileges" => nix::sys::prctl::set_no_new_privs().unwrap(),
            option => panic!("no such option: {option}"),
        }
    }
    close.into_iter().for_each(close_descriptor);
    let command: Vec<CString> = command[1..].iter().map(|word| CString::new(*word).unwrap()).collect();
    // Not std's Command, which changes the disposition of SIGPIPE.
    let Err(error) = execvp(&command[0], &command);
    panic!("{error}");
}

#[expect(unsafe_code, reason = "a descriptor of nobody's")]
fn close_descriptor(number: i32) {
    // SAFETY: nothing in this program uses it any more.
    unsafe { libc::close(number) };
}

/// Opens a file for the command, which gets its descriptor.
#[expect(unsafe_code, reason = "fcntl on a raw descriptor")]
fn inherit(path: &str) {
    let number = File::open(path).unwrap().into_raw_fd();
    // SAFETY: an own open descriptor, and integers.
    unsafe { libc::fcntl(number, libc::F_SETFD, 0) };
}
