//! What the thread says of what it did not read, and when it can read no more.

use std::io::Write as _;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::super::hot::Inbox;
use super::*;
use crate::container::Registry;
use crate::detect::{DetectConfig, Detector};
use crate::output::{Clock as Times, Emitter, Kinds, Lane, LaneFormat, Limits, Sequence, queue};

/// The sensor's row, as it is where the log can be read.
fn sensors() -> Vec<SensorState> {
    let sensor = &probes::KERNEL_LOG;
    vec![SensorState { sensor, rung: sensor.rungs.first(), left_out: Vec::new(), refused: Vec::new() }]
}

/// Reads what is given for the log until it cannot be read; what is said of it.
fn said(log: File) -> Vec<serde_json::Value> {
    let (mailbox, inbox) = Mailbox::new().unwrap();
    Reader::new(log, mailbox, |pid, _| Some(Whose { pid, started: None })).run(sensors());
    lines(&inbox)
}

fn lines(inbox: &Inbox) -> Vec<serde_json::Value> {
    let (outbox, mut written) = queue(Limits::default());
    let mut emitter = Emitter::new("n", Times::default(), Sequence::default());
    let format = LaneFormat::Json;
    emitter.add(Lane { name: "stdout", format, kinds: Kinds::ALL, demand: None, outbox });
    let mut pipeline = Pipeline::new(Detector::new(DetectConfig::default()), Registry::new(0), emitter);
    while let Some(wake) = inbox.take() {
        let Wake::Do(act) = wake else { panic!("nothing else is sent") };
        act(&mut pipeline, 1);
        pipeline.tell_faults(1);
    }
    pipeline.flush(1);
    drop(pipeline);
    let mut found = Vec::new();
    while let Some(batch) = written.recv_blocking() {
        let lines = batch.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        found.extend(lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap()));
    }
    found
}

/// Gives one record for each read, as the log does.
fn pair() -> (File, File) {
    let (one, two): (OwnedFd, OwnedFd) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    rustix::io::ioctl_fionbio(&two, true).unwrap();
    (one.into(), two.into())
}

#[test]
fn a_log_that_can_be_read_no_more_is_no_sensor() {
    for (log, reason) in [("/dev/null", "it has an end"), ("/", "Is a directory")] {
        let [status] = <[_; 1]>::try_from(said(File::open(log).unwrap())).unwrap();
        assert_eq!(status["status"], "coverage", "{status}");
        let row = &status["sensors"][0];
        assert_eq!((&row["sensor"], &row["rung"]), (&"kernel_log".into(), &serde_json::Value::Null), "{row}");
        assert!(row["reason"].as_str().unwrap().contains(reason), "{row}");
    }
}

#[test]
fn what_was_read_before_is_told() {
    let (mut kernel, log) = pair();
    let release = uname().release().to_str().unwrap().to_owned();
    let version = uname().version().to_str().unwrap().split(' ').next().unwrap().to_owned();
    for record in [
        "4,1,1,-;any".to_owned(),
        // Three are missing, and four more where a report ends by that.
        "4,5,1,-;Oops: 0000 [#1] SMP".to_owned(),
        format!("4,6,1,-;CPU: 0 PID: 7 Comm: x Not tainted {release} {version} "),
        "4,11,1,-;Oops: 0000 [#2] SMP".to_owned(),
        format!("4,12,1,-;CPU: 0 PID: 8 Comm: x Not tainted {release} {version} "),
    ] {
        kernel.write_all(record.as_bytes()).unwrap();
    }
    drop(kernel);
    let found = said(log);
    let losses: Vec<_> =
        found.iter().filter(|line| line["type"] == "loss").map(|line| &line["count"]).collect();
    // The first at once, and the rest together.
    assert_eq!(losses, [3, 4], "{found:?}");
    let faults = found.iter().filter(|line| line["event"] == "kernel_fault" && line["type"] == "event");
    let tids: Vec<_> = faults.map(|line| line["process"]["tid"].as_u64().unwrap()).collect();
    assert_eq!(tids, [7, 8], "{found:?}");
    assert_eq!(found.last().unwrap()["status"], "coverage");
}

#[test]
fn a_report_is_told_though_user_space_goes_on_writing() {
    let (mut kernel, log) = pair();
    let (mailbox, inbox) = Mailbox::new().unwrap();
    let mut reader = Reader::new(log, mailbox, |pid, _| Some(Whose { pid, started: None }));
    let mut buffer = vec![0; RECORD];
    let kernel_is = uname();
    let (release, version) = (kernel_is.release().to_str().unwrap(), kernel_is.version().to_str().unwrap());
    let version = version.split(' ').next().unwrap();
    kernel.write_all(b"4,1,1,-;Oops: 0000 [#1] SMP").unwrap();
    kernel
        .write_all(format!("4,2,1,-;CPU: 0 PID: 7 Comm: x Not tainted {release} {version}").as_bytes())
        .unwrap();
    let began = Instant::now();
    let mut number = 3;
    let wake = loop {
        assert!(began.elapsed() < Duration::from_secs(10), "it waits for as long as somebody writes");
        // One is always there: the reader never finds the log quiet.
        kernel.write_all(format!("12,{number},1,-;any").as_bytes()).unwrap();
        number += 1;
        assert!(reader.step(&mut buffer).is_ok());
        if let Some(wake) = inbox.take() {
            break wake;
        }
    };
    assert!(matches!(wake, Wake::Do(_)));
}
