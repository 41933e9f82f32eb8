;; Answers a case that the enum does not have.
;; must: skill-trapped
(component
  (type $colour' (enum "red" "green"))
  (import "colour" (type $colour (eq $colour')))
  (core module $m
    (func (export "attack") (result i32) (i32.const 2)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result $colour) (canon lift (core func $i "attack"))))
