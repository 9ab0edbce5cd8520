//! The locks between processes of ours on one daemon, held by real processes that are killed in the middle.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use samebuild::engines::OneOfUs;

/// Longer than anything here takes, and shorter than patience.
const SOON: Duration = Duration::from_secs(20);
/// Long enough to see that something does not happen.
const WHILE: Duration = Duration::from_millis(300);

/// A process of ours at work. It holds what it was asked to hold until its input ends, or so many times for a moment.
struct Worker {
    child: Child,
    said: std::sync::mpsc::Receiver<String>,
}

impl Worker {
    fn start(dir: &Path, what: &str) -> Worker {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "is_a_worker_if_asked", "--nocapture"])
            .env("SAMEBUILD_LOCK_DIR", dir)
            .env("SAMEBUILD_LOCK_AS", what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .filter(|line| line.contains("holds"))
                .all(|line| tell.send(line).is_ok())
        });
        Worker { child, said }
    }

    fn holds(&self, within: Duration) -> bool {
        self.said.recv_timeout(within).is_ok()
    }

    fn ends(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn is_a_worker_if_asked() {
    let (Some(dir), Ok(what)) = (std::env::var_os("SAMEBUILD_LOCK_DIR"), std::env::var("SAMEBUILD_LOCK_AS"))
    else {
        return;
    };
    let locks = OneOfUs::at(Path::new(&dir), "a daemon").unwrap();
    let say = || {
        println!("holds");
        std::io::stdout().flush().unwrap();
    };
    match what.as_str() {
        "builds" => {
            for _ in 0..100_000 {
                let _build = locks.build().unwrap();
                say();
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        what => {
            let _underway = if what == "delete" { locks.delete() } else { locks.build() }.unwrap();
            say();
            let _ = std::io::stdin().read_line(&mut String::new());
        }
    }
}

#[test]
fn builds_of_several_processes_go_on_together_and_a_delete_waits_for_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Worker::start(dir.path(), "build"), Worker::start(dir.path(), "build"));
    assert!(first.holds(SOON) && second.holds(SOON));
    let delete = Worker::start(dir.path(), "delete");
    assert!(!delete.holds(WHILE));
    first.ends();
    assert!(!delete.holds(WHILE));
    second.ends();
    assert!(delete.holds(SOON));
    delete.ends();
}

#[test]
fn a_build_waits_for_a_delete_in_flight_and_a_second_delete_for_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let delete = Worker::start(dir.path(), "delete");
    assert!(delete.holds(SOON));
    let (build, other) = (Worker::start(dir.path(), "build"), Worker::start(dir.path(), "delete"));
    assert!(!build.holds(WHILE) && !other.holds(WHILE));
    delete.ends();
    // Who of the two is let in first is the kernel's choice.
    let (mut waits, began) = (vec![build, other], Instant::now());
    while began.elapsed() < SOON
        && let Some(one) = waits.first()
    {
        if one.holds(Duration::from_millis(50)) {
            waits.remove(0).ends();
        } else {
            waits.rotate_left(1);
        }
    }
    assert!(waits.is_empty(), "{} never came", waits.len());
}

#[test]
fn whoever_is_killed_in_the_middle_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (dies, waits) in [("build", "delete"), ("delete", "build"), ("delete", "delete")] {
        let mut dying = Worker::start(dir.path(), dies);
        assert!(dying.holds(SOON));
        let waiting = Worker::start(dir.path(), waits);
        assert!(!waiting.holds(WHILE), "{waits} beside {dies}");
        dying.child.kill().unwrap(); // SIGKILL
        assert!(waiting.holds(SOON), "{waits} after the death of {dies}");
        waiting.ends();
    }
}

#[test]
fn builds_one_after_the_other_do_not_starve_a_delete_nor_does_it_starve_them() {
    let dir = tempfile::tempdir().unwrap();
    let builders: Vec<Worker> = (0..3).map(|_| Worker::start(dir.path(), "builds")).collect();
    assert!(builders.iter().all(|builder| builder.holds(SOON)));
    let locks = OneOfUs::at(dir.path(), "a daemon").unwrap();
    let began = Instant::now();
    for _ in 0..5 {
        drop(locks.delete().unwrap());
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    for builder in &builders {
        while builder.said.try_recv().is_ok() {}
        assert!(builder.holds(SOON), "a builder does not go on");
    }
}

#[test]
fn daemons_have_locks_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let _one = OneOfUs::at(dir.path(), "one").unwrap().delete().unwrap();
    let _other = OneOfUs::at(dir.path(), "other").unwrap().delete().unwrap();
}
