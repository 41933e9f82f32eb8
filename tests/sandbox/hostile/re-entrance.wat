;; Calls itself through a child that it made: a component is not entered again while it runs. Without that rule the
;; recursion would be the host's.
;; must: skill-trapped
(component
  (core module $shared
    (table (export "table") 1 funcref)
    (func (export "back") (call_indirect (i32.const 0)))
    (func (export "attack") (call_indirect (i32.const 0))))
  (core instance $shared (instantiate $shared))
  (func $back (canon lift (core func $shared "back")))
  (component $child
    (import "back" (func $back))
    (core func $back (canon lower (func $back)))
    (core module $m
      (import "parent" "back" (func $back))
      (func (export "forth") (call $back)))
    (core instance $i (instantiate $m (with "parent" (instance (export "back" (func $back))))))
    (func (export "forth") (canon lift (core func $i "forth"))))
  (instance $child (instantiate $child (with "back" (func $back))))
  (core func $forth (canon lower (func $child "forth")))
  (core module $fill
    (import "shared" "table" (table 1 funcref))
    (import "child" "forth" (func $forth))
    (elem (i32.const 0) func $forth))
  (core instance (instantiate $fill
    (with "shared" (instance $shared))
    (with "child" (instance (export "forth" (func $forth))))))
  (func (export "attack") (canon lift (core func $shared "attack"))))
