//! A panic is the end of the exporter, wherever it happens: a part that is missing must not look like one that has nothing to say.
//! It must never wait for the thread that panicked: another one, there from the start, ends the process. From `serve`.

use std::{
    io, panic, process,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// Longest time for the last words.
const GRACE: Duration = Duration::from_secs(2);

/// From now on a panic anywhere ends the process with exit code 1, after `last_words`, or after two seconds.
///
/// # Errors
/// When the system gives no thread.
pub fn end_the_process(last_words: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (panicked, heard) = sync_channel(1);
    let (begin, begun) = sync_channel(1);
    let (said, all_said) = sync_channel(1);
    thread::Builder::new().name("tcpvitals-end".to_owned()).spawn(move || {
        if heard.recv().is_ok() {
            let _speaker_is_gone = begin.send(());
            // Too late, or at once if the speaker panicked too: it is the end either way.
            let _late = all_said.recv_timeout(GRACE);
            end();
        }
    })?;
    // The words may hang where the panic left a lock.
    thread::Builder::new()
        .name("tcpvitals-last".to_owned())
        .spawn(move || {
            if begun.recv().is_ok() {
                last_words();
                let _nobody_waits = said.send(());
            }
        })?;
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        tell(info);
        stand_still(&panicked);
    }));
    Ok(())
}

/// What would follow is unwinding, in the middle of which others would see the half that is left.
fn stand_still(panicked: &SyncSender<()>) {
    // A second panic finds the first one's word; both wait for the end.
    let _told = panicked.try_send(());
    loop {
        thread::park();
    }
}

#[expect(clippy::exit, reason = "nothing else ends a process of which a thread stands still")]
fn end() {
    process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        process::{Command, Output},
        time::Instant,
    };

    /// Runs one of the tests that are ignored below in a process of its own.
    fn run(test: &str) -> (Output, Duration) {
        let begun = now();
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                &format!("lifecycle::threads::panics::tests::{test}"),
                "--ignored",
                "--nocapture",
            ])
            .output()
            .unwrap();
        (output, begun.elapsed())
    }

    #[expect(clippy::disallowed_methods, reason = "a test of time")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_panic_of_any_thread_ends_the_process_after_the_last_words() {
        let (output, _) = run("panics_in_a_thread");
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("on purpose") && said.contains("the last words"), "{said}");
    }

    #[test]
    fn last_words_that_never_end_are_not_waited_for() {
        let (output, took) = run("panics_and_hangs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(took >= GRACE && took < 5 * GRACE, "{took:?}");
    }

    #[test]
    #[ignore = "ends the process; another test runs it"]
    fn panics_in_a_thread() {
        end_the_process(|| println!("the last words")).unwrap();
        let other = thread::spawn(|| panic!("on purpose"));
        // The thread stands still; nobody learns that it has ended.
        other.join().ok();
        unreachable!("a thread that panicked was seen to end");
    }

    #[test]
    #[ignore = "ends the process; another test runs it"]
    fn panics_and_hangs() {
        end_the_process(|| thread::sleep(Duration::from_secs(60))).unwrap();
        panic!("on purpose");
    }
}
