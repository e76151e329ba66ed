//! Memory that the allocator keeps although nobody uses it any more. Nothing but calls of the C library.
#![expect(unsafe_code, reason = "the C library is called")]

/// Large blocks are always the system's own, so that they go back when they are freed, and threads share few arenas. Without
/// this, glibc learns from the first large block that is freed to keep the next ones.
#[cfg(target_env = "gnu")]
pub fn keep_little() {
    const LARGE: libc::c_int = 128 << 10;
    const ARENAS: libc::c_int = 2;
    for (what, value) in [
        (libc::M_MMAP_THRESHOLD, LARGE),
        (libc::M_TRIM_THRESHOLD, LARGE),
        (libc::M_ARENA_MAX, ARENAS),
    ] {
        // SAFETY: `mallopt` takes two numbers, and is called before other threads exist. What it refuses stays as it was.
        if unsafe { libc::mallopt(what, value) } == 0 {
            tracing::debug!(what, "the allocator does not take this setting");
        }
    }
}

/// Other C libraries keep little by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn keep_little() {}

/// What is free goes back to the system. It takes milliseconds, and so is for moments after much was freed.
#[cfg(target_env = "gnu")]
pub fn give_back() {
    // SAFETY: `malloc_trim` touches nothing but free memory of the allocator, under the allocator's own locks.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries give back by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}
