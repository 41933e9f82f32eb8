;; Makes one future after the other: each is memory of the host.
;; must: skill-trapped
(component
  (type $future (future u8))
  (core func $new (canon future.new $future))
  (core module $m
    (import "host" "new" (func $new (result i64)))
    (func (export "attack") (result i32) (loop (drop (call $new)) (br 0)) (unreachable))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m (with "host" (instance (export "new" (func $new))))))
  (func (export "attack") async
    (canon lift (core func $i "attack") async (callback (core func $i "callback")))))
