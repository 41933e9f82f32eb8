;; Waits (2) on a set of waitables that is not there.
;; must: skill-trapped
(component
  (core module $m
    (func (export "attack") (result i32) (i32.const 0xfff2))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func (export "attack") async
    (canon lift (core func $i "attack") async (callback (core func $i "callback")))))
