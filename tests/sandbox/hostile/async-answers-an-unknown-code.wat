;; Tells the host to do what there is no word for.
;; must: skill-trapped
(component
  (core module $m
    (func (export "attack") (result i32) (i32.const 7))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "attack") async
    (canon lift (core func $i "attack") async (callback (core func $i "callback")))))
