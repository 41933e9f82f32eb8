;; Waits for one alarm two million times over in one call: the list is the host's work.
;; must: skill-trapped
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $p))
    (export "pollable" (type $pollable (eq $p)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (core module $memory
    (memory (export "memory") 400)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16777216)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $poll (canon lower (func $poll "poll")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $m
    (import "host" "memory" (memory 1))
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "poll" (func $poll (param i32 i32 i32)))
    (func (export "attack") (local $alarm i32) (local $at i32)
      (local.set $alarm (call $subscribe (i64.const 0)))
      (loop
        (i32.store offset=1024 (local.get $at) (local.get $alarm))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if 0 (i32.lt_u (local.get $at) (i32.const 8000000))))
      (loop
        (call $poll (i32.const 1024) (i32.const 2000000) (i32.const 16))
        (br 0))))
  (core instance $i (instantiate $m
    (with "host" (instance
      (export "memory" (memory $bytes))
      (export "subscribe" (func $subscribe))
      (export "poll" (func $poll))))))
  (func (export "attack") (canon lift (core func $i "attack"))))
