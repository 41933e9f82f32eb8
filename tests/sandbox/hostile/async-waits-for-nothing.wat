;; Waits on a set with nothing in it, which nothing will ever end.
;; must: skill-trapped
(component
  (core func $set (canon waitable-set.new))
  (core module $m
    (import "host" "set" (func $set (result i32)))
    (func (export "attack") (result i32) (i32.or (i32.shl (call $set) (i32.const 4)) (i32.const 2)))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m (with "host" (instance (export "set" (func $set))))))
  (func (export "attack") async
    (canon lift (core func $i "attack") async (callback (core func $i "callback")))))
