//! What servers' reflection told, kept for a while: a frequent task asks once in minutes, not each time.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use prost_reflect::ServiceDescriptor;

use crate::time::Boot;

const KEPT_FOR: Duration = Duration::from_secs(5 * 60);
/// Services that are remembered, at most.
const MOST: usize = 64;

/// A server and one of its services.
pub(super) type Key = (String, String);

#[derive(Debug, Default)]
pub(super) struct Descriptors {
    told: Mutex<BTreeMap<Key, (Boot, ServiceDescriptor)>>,
}

impl Descriptors {
    pub(super) fn get(&self, now: Boot, key: &Key) -> Option<ServiceDescriptor> {
        let told = self.told.lock().expect("because no holder panics");
        let (since, service) = told.get(key)?;
        (now.since(*since) < KEPT_FOR).then(|| service.clone())
    }

    pub(super) fn put(&self, now: Boot, key: Key, service: ServiceDescriptor) {
        let mut told = self.told.lock().expect("because no holder panics");
        told.retain(|_, (since, _)| now.since(*since) < KEPT_FOR);
        if told.len() >= MOST && !told.contains_key(&key) {
            let oldest = told.iter().min_by_key(|(_, (since, _))| *since).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| told.remove(&oldest));
        }
        told.insert(key, (now, service));
    }

    pub(super) fn forget(&self, key: &Key) {
        self.told.lock().expect("because no holder panics").remove(key);
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn what_was_told_is_forgotten_in_time_and_never_too_much() {
        let pool = DescriptorPool::decode(tonic_health::pb::FILE_DESCRIPTOR_SET).expect("whole");
        let service = pool.get_service_by_name("grpc.health.v1.Health").expect("there");
        let descriptors = Descriptors::default();
        let key = |i: usize| (format!("a:{i}"), "grpc.health.v1.Health".to_owned());
        let at = |i: usize| Boot(0) + Duration::from_secs(i as u64);
        for i in 0..=MOST {
            descriptors.put(at(i), key(i), service.clone());
        }
        assert!(descriptors.get(at(MOST), &key(0)).is_none(), "the oldest made room");
        assert!(descriptors.get(at(MOST), &key(1)).is_some());
        assert!(descriptors.get(at(1) + KEPT_FOR, &key(1)).is_none());
        descriptors.forget(&key(2));
        assert!(descriptors.get(at(MOST), &key(2)).is_none());
    }
}
