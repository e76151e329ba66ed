//! The kernel's lockdown. Its level `integrity` takes nothing from us; its level `confidentiality` takes the helper
//! `bpf_probe_read_kernel` from every program, and without it next to nothing can be counted.

use std::fs;

/// `security/lockdown/lockdown.c`: all levels, the one in force in brackets. Only where securityfs is mounted.
const LEVELS: &str = "/sys/kernel/security/lockdown";

/// What a user reads.
pub(crate) const SENTENCE: &str = "this kernel is locked down (confidentiality), so that no BPF program may read its memory; boot it \
                            with lockdown=integrity, or without lockdown";

/// Whether the kernel says that it is locked down that far.
pub(crate) fn forbids_reading() -> bool {
    fs::read_to_string(LEVELS).is_ok_and(|levels| levels.contains("[confidentiality]"))
}

/// Whether the verifier's last words about a program mean just that: `program of this type cannot use helper
/// bpf_probe_read_kernel#113`, or `unknown func …` on older kernels.
pub(crate) fn is_why(refusal: &str) -> bool {
    refusal.contains("bpf_probe_read")
        && ["cannot use helper", "unknown func"]
            .iter()
            .any(|words| refusal.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_words_are_known() {
        for words in [
            "Invalid argument (os error 22): program of this type cannot use helper bpf_probe_read#4",
            "Invalid argument (os error 22): unknown func bpf_probe_read_kernel#113",
        ] {
            assert!(is_why(words), "{words}");
        }
        assert!(!is_why(
            "Invalid argument (os error 22): unknown func bpf_sk_storage_get#107"
        ));
    }
}
