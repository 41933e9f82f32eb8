;; Uses 64-bit memory, which the sandbox does not have.
;; must: not-a-component
(component
  (core module $m
    (memory i64 1)
    (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
