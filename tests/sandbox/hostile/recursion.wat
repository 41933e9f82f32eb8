;; Calls itself for ever.
;; must: skill-trapped
(component
  (core module $m
    (func $f (export "attack") (call $f)))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
