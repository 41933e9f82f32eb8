//! The end-to-end tests: one program, a module for each subject.

mod database;
mod faults;
mod identity;
mod interfaces;
mod openapi;
mod portability;
mod repository;
mod serving;
mod site;
