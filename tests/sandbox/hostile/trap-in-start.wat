;; Traps before anything can be called.
;; must: skill-trapped
(component
  (core module $m
    (func $start (unreachable))
    (start $start)
    (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
