;; Lets others run, for ever (a callback that answers 1 yields).
;; must: skill-deadline
(component
  (core module $m
    (func (export "attack") (result i32) (i32.const 1))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (func (export "attack") async
    (canon lift (core func $i "attack") async (callback (core func $i "callback")))))
