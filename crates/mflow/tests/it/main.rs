//! The program from outside: exit codes, messages, files.
mod bad_input;
mod evaluation;
mod fitting;
mod folder;
mod interruption;
