;; Calls the host for ever: the time that the host takes for it counts too.
;; must: skill-deadline
(component
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core module $m
    (import "host" "now" (func $now (result i64)))
    (func (export "attack") (loop (drop (call $now)) (br 0))))
  (core instance $i (instantiate $m (with "host" (instance (export "now" (func $now))))))
  (func (export "attack") (canon lift (core func $i "attack"))))
