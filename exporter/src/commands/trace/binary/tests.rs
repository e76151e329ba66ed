use super::*;
use proptest::prelude::*;
use tcpvitals_config::{Config, numbering::Numbering};

fn setting(yaml: &str) -> Setting {
    let config = Config::from_yaml(yaml, "test.yaml").unwrap();
    Setting {
        names: TraceNames::new(&config, &Numbering::new(&config)),
        clock_base: 1_700_000_000_000_000_000,
    }
}

fn read_all(bytes: &[u8]) -> (Vec<Item>, Option<String>) {
    let mut reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(fault) => return (Vec::new(), Some(fault.to_string())),
    };
    let mut items = Vec::new();
    loop {
        match reader.read() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, None),
            Err(fault) => return (items, Some(fault.to_string())),
        }
    }
}

fn lost(count: u64) -> Item {
    Item::Lost(LostEvents { now: 7, count })
}

fn file(items: &[Item]) -> Vec<u8> {
    let mut bytes = header(&setting(""));
    bytes.extend(items.iter().flat_map(record));
    bytes
}

#[test]
fn sizes_are_those_of_the_format() {
    let event = Item::Event(EventKind::Close, FlowRecord::default());
    assert_eq!(record(&event).len(), RECORD as usize);
    assert_eq!(record(&lost(1)).len(), RECORD as usize);
    assert_eq!(FlowRecord::SIZE + 8, RECORD as usize);
}

#[test]
fn names_survive() {
    for yaml in [
        "",
        "subnets_fallback: {auto: {ipv4: 24, ipv6: 48}}",
        "{subnets: [{name: \"lab \\\"B\\\"\", cidrs: [10.0.0.0/8]}], subnets_fallback: elsewhere}",
    ] {
        let setting = setting(yaml);
        let bytes = header(&setting);
        assert_eq!(Reader::new(bytes.as_slice()).unwrap().setting(), &setting);
    }
}

fn workload(name: &str) -> Item {
    Item::Workload(Workload {
        namespace: "shop".to_owned(),
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
    })
}

#[test]
fn workloads_survive_between_events_where_they_are_told_apart() {
    let longest = "ä".repeat(64);
    let items = [workload("cart"), lost(1), workload(&longest), workload("")];
    let with = |yaml: &str| {
        let mut bytes = header(&setting(yaml));
        bytes.extend(items.iter().flat_map(record));
        bytes
    };
    let whole = with("workloads: {source: cgroup}");
    assert_eq!(read_all(&whole), (items.to_vec(), None));
    let reader = Reader::new(whole.as_slice()).unwrap();
    assert_eq!(reader.setting().names.workloads, Some(Vec::new()));
    let (read, fault) = read_all(&with(""));
    assert_eq!(read, []);
    assert!(
        fault
            .unwrap()
            .contains("a record of kind 7, which version 1 does not have")
    );

    // Parts come one after the other, and each is a text.
    let begins = header(&setting("workloads: {source: cgroup}")).len();
    for (at, byte, words) in [
        (4, 1, "a part of a workload is not the next one"),
        (9, 2, "the name of a workload is cut off or no text"),
        (10, 0xff, "the name of a workload is cut off or no text"),
    ] {
        let mut damaged = whole.clone();
        damaged[begins + at] = byte;
        let (_, fault) = read_all(&damaged);
        assert_eq!(fault.unwrap(), format!("byte {begins}: {words}; the file is damaged"));
    }
}

#[test]
fn pods_and_containers_survive_before_the_events_that_have_them() {
    let event = |cgroup| {
        let record = FlowRecord {
            cgroup,
            ..FlowRecord::default()
        };
        Item::Event(EventKind::Close, record)
    };
    let instance = |pod: &str| Item::Instance(Instance::new(pod, &"c".repeat(64)));
    let longest = "a".repeat(253);
    let items = [instance("cart-0"), event(1), instance(&longest), event(2), event(0)];
    let bytes = |setting: &Setting| {
        let mut bytes = header(setting);
        bytes.extend(items.iter().flat_map(record));
        bytes
    };
    let with = setting("workloads: {source: cgroup}");
    assert_eq!(read_all(&bytes(&with)), (items.to_vec(), None));
    let begins = header(&with).len();
    let mut damaged = bytes(&with);
    damaged[begins + 4] = 1;
    let (_, fault) = read_all(&damaged);
    assert_eq!(
        fault.unwrap(),
        format!("byte {begins}: a part of a pod and its container is not the next one; the file is damaged")
    );
    // A reader of version 2 does not know them.
    let mut before = with;
    before.names.instances = None;
    let (_, fault) = read_all(&bytes(&before));
    assert!(
        fault
            .unwrap()
            .contains("a record of kind 8, which version 2 does not have")
    );
}

proptest! {
    /// Every bit of a record has its place.
    #[test]
    fn records_survive(bytes in prop::collection::vec(any::<u8>(), FlowRecord::SIZE), kind in 1u32..6) {
        let flow = FlowRecord::take(&mut bytes.as_slice());
        let item = Item::Event(EventKind::from_number(kind).unwrap(), flow);
        let written = record(&item);
        prop_assert_eq!(&written[8..], &bytes);
        prop_assert_eq!(read_all(&file(&[item.clone(), lost(3)])), (vec![item, lost(3)], None));
    }

    #[test]
    fn no_file_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..900) {
        let mut whole = file(&[lost(1)]);
        whole.truncate(cut);
        whole.extend(&bytes);
        read_all(&bytes);
        read_all(&whole);
    }
}

#[test]
fn a_file_that_is_cut_off_is_read_as_far_as_it_goes() {
    let whole = file(&[lost(1), lost(2)]);
    let begins = whole.len() - RECORD as usize;
    for cut in [1, 100, RECORD as usize - 1] {
        let end = begins + cut;
        let (items, fault) = read_all(&whole[..end]);
        assert_eq!(items, [lost(1)]);
        assert_eq!(
            fault.unwrap(),
            format!(
                "byte {end}: the file ends within the record that begins at byte {begins}; what stands before it is complete"
            )
        );
    }
    let (items, fault) = read_all(&whole[..HEADER as usize + 3]);
    assert_eq!(items, []);
    assert!(fault.unwrap().starts_with("byte 43: the file ends within the header"));
}

#[test]
fn what_is_no_trace_of_a_known_version_is_refused() {
    let refused = |at: usize, bytes: &[u8], words: &str| {
        let mut file = file(&[]);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let (_, fault) = read_all(&file);
        let fault = fault.unwrap();
        assert!(fault.contains(words), "{fault}");
    };
    let (_, fault) = read_all(&[]);
    assert!(fault.unwrap().contains("the file is empty"));
    refused(
        0,
        b"\x0a\x0d",
        "this is not a trace of tcpvitals: it begins with [0a, 0d",
    );
    refused(
        8,
        &[4, 0],
        "byte 8: version 4 is not one that this tcpvitals reads (1 to 3)",
    );
    refused(10, &[0xfe, 0xff], "byte 10: the byte order is 0xfffe");
    refused(12, &[1, 0, 0, 0], "byte 12: the length of the header is impossible");
    refused(16, &[0, 1, 0, 0], "byte 16: the size of a record");
    let mut bytes = file(&[lost(1)]);
    let begins = bytes.len() - RECORD as usize;
    bytes[begins] = 9;
    let (_, fault) = read_all(&bytes);
    assert!(
        fault
            .unwrap()
            .starts_with(&format!("byte {begins}: a record of kind 9"))
    );
}
