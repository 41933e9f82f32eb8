;; Grows a table until it gets no more.
;; must: skill-trapped
(component
  (core module $m
    (table 1 funcref)
    (func (export "attack")
      (loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1))))
      (unreachable)))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
