;; Calls the host while it cleans up, which is not allowed there.
;; must: skill-trapped
(component
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core module $m
    (import "host" "now" (func $now (result i64)))
    (func (export "attack") (result i32) (i32.const 1))
    (func (export "after") (param i32) (drop (call $now))))
  (core instance $i (instantiate $m (with "host" (instance (export "now" (func $now))))))
  (func (export "attack") (result u32)
    (canon lift (core func $i "attack") (post-return (core func $i "after")))))
