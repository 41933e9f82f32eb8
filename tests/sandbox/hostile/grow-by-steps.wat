;; Grows its memory page by page, writes to each, and gives up where it gets no more.
;; must: skill-memory
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "attack") (local $page i32)
      (loop
        (local.set $page (memory.grow (i32.const 1)))
        (if (i32.eq (local.get $page) (i32.const -1)) (then (unreachable)))
        (i32.store (i32.shl (local.get $page) (i32.const 16)) (i32.const 1))
        (br 0))))
  (core instance $i (instantiate $m))
  (func (export "attack") (canon lift (core func $i "attack"))))
