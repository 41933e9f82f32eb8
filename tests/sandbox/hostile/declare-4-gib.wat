;; Declares 4 GiB from the start.
;; must: skill-unusable
(component
  (core module $m
    (memory (export "memory") 65536)
    (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
