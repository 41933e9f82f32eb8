//! The end-to-end tests: one program, a module for each subject.

mod account_purge;
mod async_skills;
mod database;
mod faults;
mod full_disk;
mod hostile;
mod hostile_components;
mod hostile_fixtures;
mod identity;
mod interfaces;
mod job_faults;
mod jobs;
mod jobs_run;
mod mcp;
mod openapi;
mod portability;
mod random_components;
mod repository;
mod sandbox;
mod serving;
mod site;
mod skill_authors;
mod skill_rank;
mod skill_review;
mod skills;
mod storage;
