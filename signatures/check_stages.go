package signatures

func (c *checker) stages()     {}
func (c *checker) incident()   {}
func (c *checker) unless()     {}
func (c *checker) clear()      {}
func (c *checker) applies()    {}
func (c *checker) remedies()   {}
func (c *checker) references() {}
func (c *checker) tests()      {}
