//! The engine against a ledger in memory, step by step: each test names what breaks if it fails.

mod agents;
mod audits;
mod backfills;
mod bursts;
mod cancels;
mod changes;
mod cordons;
mod fires;
mod found;
mod leases;
mod ledger;
mod lives;
mod locks;
mod nodes;
mod placement;
mod policies;
mod published;
mod purges;
mod refusals;
mod restored;
mod retries;
mod suspension;
mod terms;
mod together;
mod told;
mod world;
