;; Declares 64 MiB from the start: less than any skill may have, more than this call was granted.
;; must: skill-memory
(component
  (core module $m
    (memory (export "memory") 1024)
    (func (export "attack")))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
