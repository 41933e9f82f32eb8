;; Answers flags that the type does not have: they are cut off (canonical ABI).
;; must: answered ["read","write"]
(component
  (type $rights' (flags "read" "write"))
  (import "rights" (type $rights (eq $rights')))
  (core module $m
    (func (export "attack") (result i32) (i32.const 255)))
  (core instance $i (instantiate $m))
  (func (export "attack") (result $rights) (canon lift (core func $i "attack"))))
