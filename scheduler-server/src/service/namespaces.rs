//! Namespaces: they exist once a job or calendar has named them.

use ledger::{Page, PageOf};
use punctual_proto::v1;

use super::{Call, Error, Service, page};

impl Service {
    pub async fn list_namespaces(
        &self,
        call: &Call,
        request: v1::ListNamespacesRequest,
    ) -> Result<v1::ListNamespacesResponse, Error> {
        let asked = Page { size: page::size(&request)?, after: page::after::<String, _>(&request)? };
        let reach = call.reach();
        let mut found = PageOf { items: Vec::new(), more: true };
        let mut next = asked.clone();
        // Those that the caller may not see may be many; names are few.
        while found.more && found.items.len() < asked.size as usize {
            let read = self.ledger.namespaces(&next).await?;
            next.after = read.items.last().map(|namespace| namespace.name.clone());
            found.more = read.more;
            found.items.extend(read.items.into_iter().filter(|namespace| reach.covers(&namespace.name)));
        }
        found.more |= found.items.len() > asked.size as usize;
        found.items.truncate(asked.size as usize);
        let next = found.items.last().filter(|_| found.more).map(|namespace| namespace.name.clone());
        let shown = found.items.into_iter().map(|namespace| v1::Namespace {
            namespace: namespace.name,
            job_count: i32::try_from(namespace.jobs).unwrap_or(i32::MAX),
        });
        Ok(v1::ListNamespacesResponse {
            namespaces: shown.collect(),
            next_page_token: next.map(|last| page::token(&request, &last)).unwrap_or_default(),
        })
    }
}
