;; The tool never ends.
;; must: skill-deadline
(component
  (core module $m
    (func (export "attack") (loop (br 0))))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
