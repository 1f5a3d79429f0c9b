//! The comments are the reference that reflection, OpenAPI and the dashboard show.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, EnumDescriptor, FileDescriptor, MessageDescriptor};

/// Notes what of one file has no comment.
struct Uncommented {
    commented: BTreeSet<Vec<i32>>,
    found: Vec<String>,
}

impl Uncommented {
    fn of(file: &FileDescriptor) -> Vec<String> {
        let info = file.file_descriptor_proto().source_code_info.as_ref().expect("the set has source info");
        let commented = info
            .location
            .iter()
            .filter(|location| location.leading_comments.as_ref().is_some_and(|text| !text.trim().is_empty()))
            .map(|location| location.path.clone())
            .collect();
        let mut walk = Self { commented, found: Vec::new() };
        for service in file.services() {
            walk.check(service.path(), service.full_name());
            for method in service.methods() {
                walk.check(method.path(), method.full_name());
            }
        }
        for message in file.messages() {
            walk.message(&message);
        }
        for each in file.enums() {
            walk.enumeration(&each);
        }
        walk.found
    }

    fn check(&mut self, path: &[i32], name: &str) {
        if !self.commented.contains(path) {
            self.found.push(name.to_owned());
        }
    }

    fn message(&mut self, message: &MessageDescriptor) {
        if message.is_map_entry() {
            return;
        }
        self.check(message.path(), message.full_name());
        for field in message.fields() {
            self.check(field.path(), field.full_name());
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            self.check(oneof.path(), oneof.full_name());
        }
        for each in message.child_enums() {
            self.enumeration(&each);
        }
        for inner in message.child_messages() {
            self.message(&inner);
        }
    }

    fn enumeration(&mut self, each: &EnumDescriptor) {
        self.check(each.path(), each.full_name());
        for value in each.values() {
            self.check(value.path(), value.full_name());
        }
    }
}

#[test]
fn every_service_method_message_field_and_enum_value_is_commented() {
    let pool = DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET).expect("the descriptor set is whole");
    let ours: Vec<FileDescriptor> = pool.files().filter(|file| file.package_name() == "punctual.v1").collect();
    assert!(ours.len() > 9, "a file per service at least, found {}", ours.len());
    let found: Vec<String> = ours.iter().flat_map(Uncommented::of).collect();
    assert_eq!(found, Vec::<String>::new());
}
