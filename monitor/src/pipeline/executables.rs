//! Which executables are to be hashed: those of containers, each once. Reads no file: the edge does.

use monitor_common::event::{EventRef, Exec, Payload, flags};

use super::Pipeline;
use crate::container::ContainerKey;
use crate::output::Body;
use crate::process::{Executable, Hashed, Outcome, Process};

/// Identities of files that are remembered. One that has the same place pushes the older one out, which is then asked for
/// again, and known to the edge.
const PLACES: usize = 4096;
/// A file that was changed so shortly before its exec may change again within the same second, which is all that the
/// exec's record has of the time: it is asked for each time, and the edge looks closer. Nanoseconds.
const YOUNG: i64 = 2_000_000_000;

/// Device, inode, change time in seconds.
type Key = (u32, u64, i64);

/// The files that were asked for.
#[derive(Debug, Default)]
pub(super) struct Executables {
    /// Empty if nobody wants hashes.
    asked: Vec<Key>,
    /// What was found out last, in the same places.
    hashes: Vec<(Key, [u8; 32])>,
    boot_to_epoch: i64,
    questions: Vec<Executable>,
    unhashed: u64,
}

fn key(file: &Executable) -> Key {
    (file.dev, file.ino, file.ctime)
}

/// The place of a file in the table: neighbours are spread by an odd multiplier.
fn place((dev, ino, ctime): Key) -> usize {
    let mixed =
        (ino ^ u64::from(dev).rotate_left(32) ^ ctime.cast_unsigned()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as usize % PLACES
}

impl Executables {
    fn want(&mut self, boot_to_epoch: i64) {
        self.asked = vec![Key::default(); PLACES];
        self.hashes = vec![(Key::default(), [0; 32]); PLACES];
        self.boot_to_epoch = boot_to_epoch;
    }

    /// Asks for the file behind an exec at `time`, nanoseconds since boot, unless that was done.
    fn see(&mut self, time: u64, exec: &Exec, file: impl FnOnce() -> Executable) {
        let key = (exec.exe_dev, exec.exe_ino, exec.exe_ctime);
        let now = self.boot_to_epoch.saturating_add_unsigned(time);
        let is_young = now < exec.exe_ctime.saturating_mul(1_000_000_000).saturating_add(YOUNG);
        let Some(slot) = self.asked.get_mut(place(key)) else { return };
        if *slot == key && !is_young {
            return;
        }
        *slot = key;
        self.questions.push(file());
    }

    fn forget(&mut self, file: &Executable) {
        let key = key(file);
        if let Some(slot) = self.asked.get_mut(place(key)).filter(|slot| **slot == key) {
            *slot = Key::default();
        }
    }

    fn remember(&mut self, hashed: &Hashed) {
        let key = key(&hashed.file);
        let Some(slot) = self.hashes.get_mut(place(key)) else { return };
        match hashed.outcome {
            Outcome::Hashed(hash) => *slot = (key, hash),
            // It was another file then.
            _ if slot.0 == key => *slot = Default::default(),
            _ => {}
        }
    }

    /// The hash of a file, if it is known by now.
    pub(super) fn hash_of(&self, file: Option<Key>) -> Option<[u8; 32]> {
        let key = file?;
        let (known, hash) = self.hashes.get(place(key))?;
        (*known == key).then_some(*hash)
    }

    /// Takes the number of files that could not be asked for.
    pub(super) fn take_unhashed(&mut self) -> u64 {
        std::mem::take(&mut self.unhashed)
    }
}

impl Pipeline {
    /// Says that the executables of containers are to be hashed; `boot_to_epoch` is the calendar's time at boot,
    /// nanoseconds since the epoch.
    pub fn want_hashes(&mut self, boot_to_epoch: i64) {
        self.executables.want(boot_to_epoch);
    }

    /// Looks at an exec in a container.
    pub(super) fn executable(&mut self, ev: &EventRef<'_>) {
        let container = ContainerKey(ev.header.container);
        if self.executables.asked.is_empty() || container.is_host() || ev.header.has(flags::RUNTIME) {
            return;
        }
        let Some(Payload::Exec(exec)) = ev.payload() else { return };
        let (processes, containers) = (&self.processes, &self.containers);
        self.executables.see(ev.header.time, &exec, || Executable {
            container,
            pid: ev.header.pid,
            root_pid: containers.hint(container).map_or(0, |request| request.pid),
            path: processes.get(ev.header.pid).map_or(Vec::new(), |p: &Process| p.program.exe.clone()),
            dev: exec.exe_dev,
            ino: exec.exe_ino,
            ctime: exec.exe_ctime,
            magic: exec.exe_magic,
            layer: exec.exe_layer,
            nlink: exec.exe_nlink,
            mnt_ns: exec.exe_mnt_ns,
        });
    }

    /// Takes the questions about executables that came up.
    pub fn executables(&mut self) -> Vec<Executable> {
        std::mem::take(&mut self.executables.questions)
    }

    /// Takes back a question for which there was no room. The next exec of the file puts it again.
    pub fn not_hashed(&mut self, file: &Executable) {
        self.executables.forget(file);
        self.executables.unhashed += 1;
    }

    /// Says what the edge found out about an executable.
    pub fn hashed(&mut self, time: u64, hashed: &Hashed) {
        self.executables.remember(hashed);
        if hashed.outcome.is_worth_another_try() {
            self.executables.forget(&hashed.file);
        }
        if hashed.is_news {
            let container = self.containers.get(hashed.file.container);
            self.emitter.emit(time, Body::Executable { container, hashed });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_asked_for_once_unless_it_is_young_or_was_not_found() {
        let mut files = Executables::default();
        let exec = Exec { exe_dev: 8, exe_ino: 77, exe_ctime: 1000, ..Exec::default() };
        let file = Executable { dev: 8, ino: 77, ctime: 1000, ..Executable::default() };
        let see = |files: &mut Executables, second: u64, exec: &Exec| {
            files.see(second * 1_000_000_000, exec, || file.clone());
            std::mem::take(&mut files.questions).len()
        };
        assert_eq!(see(&mut files, 1500, &exec), 0, "nobody wants hashes");
        files.want(0);
        assert_eq!([1500, 1501, 9999].map(|second| see(&mut files, second, &exec)), [1, 0, 0]);
        assert_eq!(see(&mut files, 1500, &Exec { exe_ctime: 1001, ..exec }), 1, "changed since");
        assert_eq!(see(&mut files, 1500, &Exec { exe_dev: 9, ..exec }), 1, "on another file system");
        assert_eq!([1001, 1001, 1002, 1003].map(|second| see(&mut files, second, &exec)), [1, 1, 0, 0]);
        files.forget(&file);
        assert_eq!(see(&mut files, 1500, &exec), 1);
    }

    #[test]
    fn a_hash_is_known_once_it_was_told_and_for_that_file_only() {
        let mut files = Executables::default();
        let file = Executable { dev: 8, ino: 77, ctime: 1000, ..Executable::default() };
        let told = |outcome| Hashed { file: file.clone(), size: None, outcome, files_read: 1, is_news: true };
        let hash = [0x5a; 32];
        files.remember(&told(Outcome::Hashed(hash)));
        assert_eq!(files.hash_of(Some((8, 77, 1000))), None, "nobody wants hashes");
        files.want(0);
        assert_eq!(files.hash_of(Some((8, 77, 1000))), None);
        files.remember(&told(Outcome::Hashed(hash)));
        assert_eq!(files.hash_of(Some((8, 77, 1000))), Some(hash));
        assert_eq!(files.hash_of(Some((8, 77, 1001))), None, "changed since");
        assert_eq!(files.hash_of(None), None);
        files.remember(&told(Outcome::Changed));
        assert_eq!(files.hash_of(Some((8, 77, 1000))), None);
    }
}
