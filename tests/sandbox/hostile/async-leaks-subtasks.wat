;; Begins calls of a sibling that never end, one after the other: each is a task of the host's. A host that is not
;; optimised, or a busy machine, meets the deadline before the bound on tasks.
;; must: skill-trapped | skill-deadline
(component
  (component $waiter
    (core func $set (canon waitable-set.new))
    (core module $m
      (import "host" "set" (func $set (result i32)))
      (func (export "wait") (result i32) (i32.or (i32.shl (call $set) (i32.const 4)) (i32.const 2)))
      (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m (with "host" (instance (export "set" (func $set))))))
    (func (export "wait") async
      (canon lift (core func $i "wait") async (callback (core func $i "callback")))))
  (component $caller
    (import "wait" (func $wait async))
    (core func $wait (canon lower (func $wait) async))
    (core module $m
      (import "host" "wait" (func $wait (result i32)))
      (func (export "attack") (result i32) (loop (drop (call $wait)) (br 0)) (unreachable))
      (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m (with "host" (instance (export "wait" (func $wait))))))
    (func (export "attack") async
      (canon lift (core func $i "attack") async (callback (core func $i "callback")))))
  (instance $waiter (instantiate $waiter))
  (instance $caller (instantiate $caller (with "wait" (func $waiter "wait"))))
  (export "attack" (func $caller "attack")))
