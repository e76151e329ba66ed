//! Units of systemd as workloads: their names as systemd writes them, without what makes one name per run.

use super::{
    Workload, kinds,
    name::{Numbers, is_id, is_number, without_ids},
};

/// Types of units that have processes, and so sockets. A slice has none of its own.
const TYPES: [&str; 5] = [".service", ".socket", ".scope", ".mount", ".swap"];

/// The name of a unit that the folder of a cgroup has. systemd puts an underscore in front of a name that could be taken for a file
/// of the kernel, such as `cpu.service` (`cg_escape`).
pub(super) fn of_folder(folder: &str) -> Option<&str> {
    let is_unit = TYPES.iter().any(|suffix| folder.ends_with(suffix) && folder != *suffix);
    is_unit.then(|| unescaped_folder(folder))
}

/// The same of a slice.
pub(super) fn slice_of_folder(folder: &str) -> Option<&str> {
    let is_slice = folder.ends_with(".slice") && folder != ".slice";
    is_slice.then(|| unescaped_folder(folder))
}

fn unescaped_folder(folder: &str) -> &str {
    folder.strip_prefix('_').unwrap_or(folder)
}

/// The workload of a unit.
pub(super) fn workload(unit: &str, merge_templates: bool) -> Workload {
    Workload::outside(kinds::UNIT, &folded(unit, merge_templates))
}

/// The name of a unit without ids, numbers of runs and, if asked for, instances of templates.
fn folded(unit: &str, merge_templates: bool) -> String {
    let (stem, suffix) = unit.rfind('.').map_or((unit, ""), |dot| unit.split_at(dot));
    if is_transient(stem) {
        return format!("run-*{suffix}");
    }
    let stem = without_bus_name(stem);
    let numbers = if suffix == ".scope" {
        Numbers::All
    } else {
        Numbers::Long
    };
    match stem.split_once('@') {
        Some((template, instance)) if merge_templates || is_of_one_run(instance) => {
            format!("{}@{suffix}", without_ids(template, numbers))
        }
        _ => format!("{}{suffix}", without_ids(&stem, numbers)),
    }
}

/// A unit that systemd-run named: `run-u12` by a number, `run-r…` by 32 random hexadecimal digits, `run-p12-i34` by process and
/// invocation, `run-12` as earlier versions did.
pub(super) fn is_transient(stem: &str) -> bool {
    let Some(run) = stem.strip_prefix("run-") else {
        return false;
    };
    let by_process = run.strip_prefix('p').and_then(|run| run.split_once("-i"));
    is_number(run)
        || run.strip_prefix('u').is_some_and(is_number)
        || run
            .strip_prefix('r')
            .is_some_and(|random| random.len() >= 16 && is_hexadecimal(random))
        || by_process.is_some_and(|(process, invocation)| is_number(process) && is_number(invocation))
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether an instance is one run and no configuration: an id, or a connection that a socket with `Accept=yes` took, which is
/// counted and named by both addresses, or by process and user: `12-192.0.2.1:22-198.51.100.9:4000`, `3-4711-1000`.
fn is_of_one_run(instance: &str) -> bool {
    let mut parts = instance.splitn(2, '-');
    let counted = parts.next().is_some_and(is_number);
    let rest = parts.next().unwrap_or_default();
    let of_addresses = rest.contains(':') && rest.contains('-');
    let of_process = rest.split('-').count() == 2 && rest.split('-').all(is_number);
    (counted && (of_addresses || of_process)) || (is_id(instance) && !is_number(instance))
}

/// The unit of a service that D-Bus started is named by the bus's own number of it: `dbus-:1.2-org.example@0`.
fn without_bus_name(stem: &str) -> String {
    let service = stem.strip_prefix("dbus-:").and_then(|rest| rest.split_once('-'));
    match service {
        Some((_, service)) => format!("dbus-{}", service.split('@').next().unwrap_or(service)),
        None => stem.to_owned(),
    }
}

/// A name as systemd escaped it (`systemd-escape --unescape`): `\x2d` is a hyphen.
pub(super) fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let code = rest.strip_prefix("\\x").and_then(|rest| rest.get(..2));
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        let taken = if code.is_some() { 4 } else { first.len_utf8() };
        let (head, tail) = rest.split_at(taken);
        match code {
            Some(code) => bytes.push(code),
            None => bytes.extend_from_slice(head.as_bytes()),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_keeps_its_name_but_for_what_names_one_run() {
        for (unit, shown) in [
            ("nginx.service", "nginx.service"),
            ("postgresql@14-main.service", "postgresql@14-main.service"),
            ("my\\x2dapp.service", "my\\x2dapp.service"),
            ("wg-quick@wg0.service", "wg-quick@wg0.service"),
            ("run-u12.service", "run-*.service"),
            ("run-r0123456789abcdef0123456789abcdef.scope", "run-*.scope"),
            ("run-p123-i456.service", "run-*.service"),
            ("run-4711.scope", "run-*.scope"),
            ("run-backup.service", "run-backup.service"),
            ("run-user-1000.mount", "run-user-1000.mount"),
            ("sshd@12-192.0.2.1:22-198.51.100.9:4000.service", "sshd@.service"),
            ("sshd@3-2001:db8::1:22-2001:db8::2:50000.service", "sshd@.service"),
            ("systemd-coredump@7-1234-0.service", "systemd-coredump@.service"),
            (
                "app-org.gnome.Terminal@9f86d081884c7d65.service",
                "app-org.gnome.Terminal@.service",
            ),
            ("app-gnome-firefox-12345.scope", "app-gnome-firefox-*.scope"),
            ("dbus-:1.2-org.example@0.service", "dbus-org.example.service"),
            ("job-1767225600.service", "job-*.service"),
        ] {
            assert_eq!(folded(unit, false), shown, "{unit}");
        }
        assert_eq!(folded("postgresql@14-main.service", true), "postgresql@.service");
        assert_eq!(folded("nginx.service", true), "nginx.service");
    }

    #[test]
    fn folders_that_systemd_escaped_are_read() {
        assert_eq!(of_folder("_cpu.service"), Some("cpu.service"));
        assert_eq!(of_folder("web"), None);
        assert_eq!(of_folder(".service"), None);
        assert_eq!(slice_of_folder("web.slice"), Some("web.slice"));
        assert_eq!(unescaped("qemu\\x2d1\\x2dweb"), "qemu-1-web");
        assert_eq!(unescaped("a\\x2"), "a\\x2");
        assert_eq!(unescaped("\\xc3\\xbc"), "ü");
    }
}
