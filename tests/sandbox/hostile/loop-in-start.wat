;; The core module's start function never ends: the time of instantiation counts too.
;; must: skill-deadline
(component
  (core module $m
    (func $start (loop (br 0)))
    (start $start)
    (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
