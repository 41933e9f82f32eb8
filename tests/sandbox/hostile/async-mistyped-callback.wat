;; Its callback has another type than callbacks have: engines have taken such a function for one that it is not.
;; must: not-a-component
(component
  (core module $m
    (func (export "attack") (result i32) (i32.const 1))
    (func (export "callback") (param i64 f64) (result i64) (i64.const 1)))
  (core instance $i (instantiate $m))
  (func (export "attack") async
    (canon lift (core func $i "attack") async (callback (core func $i "callback")))))
