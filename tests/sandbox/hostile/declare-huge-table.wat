;; Declares a table of ten million elements.
;; must: skill-unusable
(component
  (core module $m
    (table 10000000 funcref)
    (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
